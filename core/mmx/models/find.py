"""MODEL: what is given as a model, and of which format it is. Never imports torch."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from mmx.config import WeightsConfig
from mmx.errors import CheckpointError
from mmx.models.files import CONVERT, PICKLED, pickled_in
from mmx.plugin.registry import Registries
from mmx.runs.find import runs_nearby
from mmx.runs.layout import RunFolder

Form = Literal["run", "model", "format"]
_PREFIX: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*):(.+)", re.DOTALL)


@dataclass(frozen=True)
class FoundModel:
    """A model that is there; it was looked at and not read."""

    given: str
    """As the user wrote it."""
    path: Path
    form: Form
    """A run's folder, a model's folder of mmx, or one that a ``weights`` part recognises."""
    format: str
    """"run", "mmx", or the name of the part."""


def find_model(given: str | Path, registries: Registries) -> FoundModel:
    """Return what a MODEL is: the folder of a run, finished or stopped; of a model; or of another format.

    ``FORMAT:FOLDER`` names the format, where a folder is of several.

    Raises:
        CheckpointError: it is none; the message says what was looked for, and which formats were tried.
    """
    text = os.fspath(given)
    name, path = _split(text, registries)
    if not os.path.lexists(path):
        raise CheckpointError(f"{path} does not exist: {_looked(registries)}\n{runs_nearby(path)}")
    if not path.is_dir():
        raise CheckpointError(f"{path} is a file, and a model is a folder: {_about_file(path)}")
    if name:
        return _of_format(text, path, name, registries)
    if RunFolder(path).is_run():
        return FoundModel(text, path, "run", "run")
    for folder in (path / "model", path):
        if (folder / "model.json").is_file():
            return FoundModel(text, folder, "model", "mmx")
    names = list(_recognised(path, registries))
    if len(names) == 1:
        return FoundModel(text, path, "format", names[0])
    if names:
        ways = " or ".join(shlex.quote(f"{one}:{path}") for one in names)
        raise CheckpointError(f"{path} is a model of several formats, which may differ: say which, {ways}")
    raise CheckpointError(_none(path, registries))


def _split(text: str, registries: Registries) -> tuple[str, Path]:
    """Return the format that is named, empty if none is, and the path."""
    match = _PREFIX.fullmatch(text)
    if match is None or os.path.lexists(text):
        return "", Path(text)
    name, rest = match.groups()
    if name in registries["weights"].names():
        return name, Path(rest)
    if "://" in text or not os.path.lexists(rest):
        raise CheckpointError(
            f"{text} is no folder, and '{name}' no format of models (known: {_known(registries)}); a model is the path of a "
            "folder on this machine: download it first"
        )
    raise CheckpointError(f"there is no format of models '{name}' (known: {_known(registries)}); give {rest} alone")


def _of_format(text: str, path: Path, name: str, registries: Registries) -> FoundModel:
    config = cast("type[WeightsConfig]", registries["weights"][name].config)
    if not config.recognises(path):
        raise CheckpointError(f"{path} is not a model of the format '{name}' ({registries['weights'][name].summary})")
    return FoundModel(text, path, "format", name)


def _recognised(path: Path, registries: Registries) -> Iterator[str]:
    for entry in registries["weights"]:
        if cast("type[WeightsConfig]", entry.config).recognises(path):
            yield entry.name


def _known(registries: Registries) -> str:
    return ", ".join(registries["weights"].names()) or "none"


def _looked(registries: Registries) -> str:
    formats = "".join(f", {entry.name} ({entry.summary})" for entry in registries["weights"])
    return f"looked for a run (resolved.toml), a model of mmx (model.json){formats}"


def _none(path: Path, registries: Registries) -> str:
    """Return what to say of a folder that holds no model."""
    unusable = [name for name in registries["weights"].names() if registries["weights"].refusal(name)]
    broken = f"\nnot tried, since their plugins cannot be used: {', '.join(unusable)} (mmx plugins)" if unusable else ""
    found = pickled_in(path)
    pickled = f"\nit has {found[0]}: {CONVERT}" if found else ""
    looked = f"looked for {path / 'model' / 'model.json'} (of a run) and {path / 'model.json'} (of a model's folder)"
    formats = "".join(f"\n  {entry.name}: {entry.summary}" for entry in registries["weights"])
    tried = f"\nformats that were tried:{formats}" if formats else "\nno other format is installed"
    return f"{path} has no model: {looked}{tried}{broken}{pickled}\n{runs_nearby(path)}"


def _about_file(path: Path) -> str:
    if path.name.endswith(PICKLED):
        return CONVERT
    if path.suffix == ".safetensors":
        return f"give the folder that describes it: {path.parent}"
    return "give the folder of a run or of a model"
