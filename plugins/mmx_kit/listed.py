"""A part of an installed package is in the package's metadata; otherwise no recipe finds it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from mmx.plugin.entries import GROUP, installed
from mmx.plugin.kinds import BUILT
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError


def listed(case: Case) -> None:
    """Check that the metadata of the distribution which owns the part's module lists the part."""
    entry = case.entry
    if case.files:
        raise NotApplicableError("a single file is in no metadata; recipes find its parts by --plugin")
    if any(known.owner == entry.owner for known in installed()):
        return  # such a plugin is refused where its module and its metadata disagree
    owners = list(owning(entry.owner))
    if not owners:
        raise NotApplicableError(f"the module {entry.owner} belongs to no installed distribution")
    raise BrokenError(
        f"{_named(owners[0])} is installed, but its metadata does not list this part, so that no recipe finds it: "
        f'add the line\n"{entry.kind}.{entry.name}" = "{entry.owner}"\nto [project.entry-points."{GROUP}"] of its '
        f"pyproject.toml, and install it again"
    )


def owning(module: str) -> Iterator[Distribution]:
    """Yield the distributions that installed an imported module, as files or as a link to where it is written."""
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None:
        return
    path = Path(str(file)).resolve()
    root = path.parents[1] if path.name == "__init__.py" else path.parent
    yield from (one for one in distributions() if _owns(one, top, root))


def _owns(owner: Distribution, top: str, root: Path) -> bool:
    for file in owner.files or ():
        if file.parts[0] in (top, f"{top}.py") and _resolved(owner, "") == root:
            return True
        if len(file.parts) == 1 and file.suffix == ".pth" and root in _paths(_resolved(owner, str(file))):
            return True
    declared = (owner.read_text("top_level.txt") or "").split()
    project = _project(owner)
    return top in declared and project is not None and root.is_relative_to(project)


def _resolved(owner: Distribution, name: str) -> Path:
    return Path(str(owner.locate_file(name))).resolve()


def _paths(file: Path) -> list[Path]:
    """Return the folders that a ``.pth`` file adds to the path."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [Path(line).resolve() for line in lines if line.strip() and not line.startswith(("#", "import "))]


def _project(owner: Distribution) -> Path | None:
    """Return the folder that a distribution was installed from so that it follows changes; None if it was not."""
    told = json.loads(owner.read_text("direct_url.json") or "{}")
    if not told.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(str(told["url"])).path)).resolve()


def absent(name: str, error: str) -> str:
    """Say why there is no plugin of a name that could not be imported."""
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        return (
            f"there is no plugin '{name}': no distribution or module of that name is installed ({error}); "
            "for one file give its path, such as ./my_loss.py"
        )
    return (
        f"{_named(found)} is installed, but its metadata lists no plugin; give the name of its "
        f"module to check it ({error})"
    )


def _named(owner: Distribution) -> str:
    return f"{owner.metadata['Name']} {owner.version}"


LISTED_CHECKS: Final = (
    Check("listed", "the metadata of an installed package lists the part, for recipes to find", BUILT, listed),
)
