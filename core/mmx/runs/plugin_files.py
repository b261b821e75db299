"""The ``--plugin`` files of a run: copied into its folder with their sha256, and asked for when it goes on."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from mmx.errors import CheckpointError, PluginError
from mmx.plugin.files import PluginFile
from mmx.runs.layout import RunFolder

FOLDER = "plugins"
"""Where a run keeps its copies."""


def copies(files: Sequence[PluginFile]) -> dict[str, bytes]:
    """Return what to write into a new run's folder, by path in it.

    Raises:
        PluginError: a file has changed since it was loaded, or two have one name.
    """
    found: dict[str, bytes] = {}
    for file in files:
        data = file.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise PluginError(f"--plugin {file.path}: it changed while the run was starting; start it again")
        found[f"{FOLDER}/{file.name}"] = data
    return found


def plain(files: Sequence[PluginFile]) -> list[dict[str, str]]:
    """Return what ``env.json`` says of them."""
    return [{"file": file.name, "sha256": file.sha256} for file in files]


def flags(run: Path, names: Iterable[str]) -> str:
    """Return what a command on a run needs besides, with a space before; nothing where the run has no such file."""
    return "".join(f" --plugin {shlex.quote(str(run / FOLDER / name))}" for name in names)


def kept(folder: RunFolder) -> list[str]:
    """Return the names of the files that a run was made with."""
    return list(_recorded(folder))


def refuse_others(folder: RunFolder, given: Sequence[Path], command: str, more: bool) -> None:
    """Refuse to use a run with other plugin files than it was made with.

    Args:
        folder: the run.
        given: the files given now.
        command: the command that would use it, for the message.
        more: whether further files are fine.

    Raises:
        PluginError: one is missing, has changed, or is not the run's.
    """
    made = _recorded(folder)
    now = {path.name: path for path in given}
    how = command + flags(folder.path, made)
    for name, sha256 in made.items():
        if name not in now:
            raise PluginError(
                f"{folder.path} was made with --plugin {name}, and needs it again (sha256 {sha256[:12]}); the copy that "
                f"the run keeps is\n  {folder.path / FOLDER / name}\nlook at it before you run it, then:\n  {how}"
            )
        found = _sha256(now[name])
        if found != sha256:
            raise PluginError(
                f"--plugin {now[name]}: it is not what {folder.path} was made with (sha256 {found[:12]}, then "
                f"{sha256[:12]}), so its weights would mean something else; start a new run with it, or use the run's "
                f"own copy:\n  {how}"
            )
    others = [str(path) for name, path in now.items() if name not in made]
    if others and not more:
        raise PluginError(f"--plugin {others[0]}: {folder.path} was made without it; leave it out, or start a new run")


def _recorded(folder: RunFolder) -> dict[str, str]:
    rows: Any = folder.environment().get("plugin_files", [])
    try:
        return {str(row["file"]): str(row["sha256"]) for row in cast(Sequence[Mapping[str, Any]], rows)}
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{folder.path / 'env.json'}: plugin_files is not a list of files") from error


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PluginError(f"--plugin {path}: cannot be read: {error.strerror}") from error
