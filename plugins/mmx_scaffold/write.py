"""Writing a new plugin: all of it or nothing, and never over something that is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mmx.errors import RecipeError
from mmx_scaffold.files import package_files, single_files
from mmx_scaffold.kinds import Kind
from mmx_scaffold.names import Names


def write_package(kind: Kind, names: Names, into: Path) -> Path:
    """Write a package into a new folder of its distribution's name, and return that folder.

    Raises:
        RecipeError: the folder exists, or cannot be written.
    """
    _put(package_files(kind, names), kind, into, Path(names.distribution))
    return into / names.distribution


def write_single(kind: Kind, names: Names, into: Path) -> Path:
    """Write one file of code and a recipe into a folder, and return the file of code.

    Raises:
        RecipeError: a file exists, or cannot be written.
    """
    _put(single_files(kind, names), kind, into, Path())
    return into / f"{names.identifier}.py"


def _put(files: Mapping[str, str], kind: Kind, into: Path, below: Path) -> None:
    """Write into a folder beside the place, and move what is complete there."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=".new-") as draft:
            _fill(Path(draft) / below, files, kind)
            made = sorted(Path(draft).iterdir())
            _refuse_existing([into / path.name for path in made])
            for path in made:
                shutil.move(path, into / path.name)
    except OSError as error:
        raise RecipeError(f"{error.filename or into} cannot be written: {error.strerror or error}") from error


def _refuse_existing(paths: list[Path]) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise RecipeError(f"{path} exists; it is not overwritten: give another name or --into, or remove it")


def _fill(folder: Path, files: Mapping[str, str], kind: Kind) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    if kind.kind == "dataset":
        # The recipe reads these; the options draw them anyway, as an example for the conformance kit.
        from mmx_scaffold.templates.dataset.config import ThisPartConfig

        (folder / "pictures").mkdir()
        ThisPartConfig.example("this-part", folder / "pictures")
