"""What a run is made with: versions, machine, commit, plugins and command. Never imports torch, starts no process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mmx.launch import threads
from mmx.launch.rank import find
from mmx.plugin.manager import Plugins
from mmx.plugin.versions import mmx_version, version
from mmx.runs.mask import mask
from mmx.runs.plugin_files import plain

_COMMIT: Final = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def describe(argv: Sequence[str], plugins: Plugins | None = None) -> dict[str, Any]:
    """Return the environment as plain values, secrets in the command masked."""
    machine = os.uname()
    return {
        "mmx": mmx_version(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "platform": f"{machine.sysname} {machine.release}",
        "machine": machine.machine,
        "cpus": os.cpu_count(),
        "threads": threads.number(),
        "processes": find(os.environ).size,
        "commit": commit(Path()),
        "plugins": used(plugins),
        "plugin_files": [] if plugins is None else plain(plugins.files),
        "executable": sys.executable,
        "argv": mask(argv),
    }


def used(plugins: Plugins | None) -> list[dict[str, str]]:
    """Return the installed plugins that a run uses: module, distribution and version of each, and what its code was.

    The code of mmx itself goes by its version and commit.
    """
    entries = [] if plugins is None else [entry for entry in plugins.loaded if entry.distribution]
    return [
        {"module": e.module, "distribution": e.distribution, "version": e.version}
        | ({} if e.distribution == "mmx" else {"sha256": code_of(e.module)})
        for e in entries
    ]


def code_of(module: str) -> str:
    """Return the sha256 of an imported module's Python files, those of its folder where it is a package."""
    file = Path(str(getattr(sys.modules.get(module), "__file__", None)))
    top = file.parent
    files = sorted(top.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for one in files:
        with contextlib.suppress(OSError):  # one that is gone changes the sum too
            digest.update(f"{one.relative_to(top)}\0{hashlib.sha256(one.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def changed(before: Sequence[Mapping[str, Any]], plugins: Plugins) -> list[str]:
    """Return a line on each installed plugin that is not what it was when a run began.

    Args:
        before: what ``env.json`` says of the plugins.
        plugins: those in use now.
    """
    then = {row["module"]: row for row in before}
    lines: list[str] = []
    for now in used(plugins):
        was = then.get(now["module"], now)
        if was["version"] != now["version"]:
            lines.append(f"{now['distribution']} is {now['version']} now, and was {was['version']}")
        elif was.get("sha256") != now.get("sha256"):
            lines.append(f"{now['distribution']} {now['version']} has other code now ({now['module']})")
    return list(dict.fromkeys(lines))


def commit(folder: Path) -> str | None:
    """Return the git commit that a folder is at, None if that cannot be told.

    The files are read directly: starting git in a folder of unknown origin may run what its settings name.
    """
    try:
        here = folder.absolute()
        git = next((parent / ".git" for parent in (here, *here.parents) if (parent / ".git").exists()), None)
        found = _head(_git_folder(git)) if git is not None else ""
    except (OSError, ValueError):
        return None
    return found if _COMMIT.fullmatch(found) else None


def _git_folder(path: Path) -> Path:
    if path.is_dir():
        return path
    # A worktree or submodule: the file says where the folder is.
    return path.parent / path.read_text().removeprefix("gitdir:").strip()


def _head(git: Path) -> str:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: refs/"):
        return head
    name = head.removeprefix("ref: ")
    common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
    for place in (git, common):
        if (place / name).is_file():
            return (place / name).read_text().strip()
    packed = (common / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
