"""Recipes that come with mmx, and how the name of a recipe leads to a file."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mmx.errors import RecipeError


@dataclass(frozen=True)
class Found:
    """The file that a recipe's name leads to."""

    path: Path
    bundled: bool
    """Whether it came with mmx, there being no such file where the user is."""


def bundled() -> dict[str, Path]:
    """Return the recipes that come with mmx, by name."""
    folder = _folder()
    return {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder else {}


def summary(path: Path) -> str:
    """Return the first comment of a recipe."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            return line.lstrip("# ").rstrip()
    return ""


def find_recipe(name: str | Path) -> Found:
    """Find a recipe: the file of that name, or else the bundled one, with or without ``recipes/`` and ``.toml``.

    Raises:
        RecipeError: there is neither; the message names recipes that do exist.
    """
    path = Path(name)
    text = str(path)
    try:
        if path.is_file():
            return Found(path, bundled=False)
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise RecipeError(f"{text[:200]!r} is not the name of a recipe: {error}") from error
    known = bundled()
    if path.stem in known and path.parent in (Path(), Path("recipes")) and path.suffix in ("", ".toml"):
        return Found(known[path.stem], bundled=True)
    if exists:
        raise RecipeError(f"{text}: is not a file; a recipe is a .toml file\nhelp: mmx recipe list")
    raise RecipeError(_absent(path, known))


def _absent(path: Path, known: dict[str, Path]) -> str:
    beside = [file.stem for file in path.parent.glob("*.toml")] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.stem, [*beside, *known], n=1)
    hint = ""
    if close:
        hint = f"; did you mean '{path.parent / f'{close[0]}.toml' if close[0] in beside else close[0]}'?"
    names = f" (bundled: {', '.join(known)})" if known else ""
    return f"{path}: there is no such recipe{hint}{names}\nhelp: mmx recipe list"


def label(path: Path) -> str:
    """Return what messages call a recipe's file: short for a bundled one and for one below the current folder."""
    folder = _folder()
    if not path.is_absolute():
        return str(path)
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return f"mmx_recipes/{path.name}" if folder and path.parent == folder else str(path)


def _folder() -> Path | None:
    """Find the recipes of the repository that mmx is run from, or those of an installed wheel."""
    checkout = Path(__file__).parents[3]
    if (checkout / "core" / "mmx").is_dir() and (checkout / "recipes").is_dir():
        return checkout / "recipes"
    spec = find_spec("mmx_recipes")
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
