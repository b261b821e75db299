"""Reading a MODEL, and building it ready for use."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor

from mmx.checkpoint.listing import candidates
from mmx.checkpoint.read import CheckpointData
from mmx.checkpoint.state import averaged
from mmx.checkpoint.stored import Picked, dtype_of, joined
from mmx.errors import CheckpointError
from mmx.models import build as model_build
from mmx.models.bundle import LoadedModel, assembled, load_bundle, loaded_from, model_tables, read_bundle
from mmx.models.files import sha256_of
from mmx.models.find import FoundModel, find_model
from mmx.parts.weights import MODEL_TABLES, ModelData, WeightsFormat
from mmx.plugin.manager import Plugins
from mmx.plugin.registry import Registries
from mmx.recipe.document import Document
from mmx.recipe.load import load
from mmx.recipe.overrides import override
from mmx.recipe.schema import Recipe
from mmx.runs.layout import FILES, RunFolder
from mmx.runs.stores import store_of

Say = Callable[[str], None]
_WEIGHTS: Final = "model.safetensors"


def load_model(
    given: str | Path,
    plugins: Plugins,
    device: torch.device,
    overrides: Sequence[str] = (),
    say: Say = lambda text: None,
) -> LoadedModel:
    """Load a MODEL: a run's (the finished one, else that of its newest good checkpoint), or that of a model's folder.

    Args:
        given: a folder, or ``FORMAT:FOLDER``.
        plugins: those that have the formats and the parts.
        device: where the model goes.
        overrides: ``KEY=VALUE`` each, put over the tables that describe the model: what its folder does not tell.
        say: is told what was found.

    Raises:
        CheckpointError: there is none, or it cannot be read; the message says what was looked for.
    """
    found = find_model(given, plugins.registries)
    return built_model(found, read_model(found, plugins, say), plugins.registries, device, overrides, say)


def built_model(
    found: FoundModel,
    data: ModelData,
    registries: Registries,
    device: torch.device,
    overrides: Sequence[str],
    say: Say,
) -> LoadedModel:
    """Build the model that was read.

    Raises:
        CheckpointError: the folder does not tell all of it, or its weights do not fit what it tells.
    """
    tables = override(Document(json.loads(json.dumps(dict(data.tables)))), overrides, ()).values
    _refuse_untold(found, data, tables)
    note = widened(data.tensors)
    if note:
        say(f"{found.path}: {note}")
    copies = found.path / FILES if found.form == "run" else found.path
    return assembled(tables, registries, data.tensors, device, f"{found.path}", copies)


def read_model(found: FoundModel, plugins: Plugins, say: Say) -> ModelData:
    """Read a model that was found.

    Raises:
        CheckpointError: it cannot be read, or the run has no checkpoint yet.
    """
    if found.form == "run":
        return _of_run(RunFolder(found.path), plugins, say)
    if found.form == "model":
        tables, tensors = read_bundle(found.path)
        return ModelData(_five(tables), tensors, files=(_WEIGHTS,))
    part = cast(WeightsFormat, plugins.registries.build("weights", format_config(found, plugins.registries)))
    return part.read(found.path)


def format_config(found: FoundModel, registries: Registries) -> Any:
    """Return the options of the format that a model is of: its defaults."""
    return registries["weights"][found.format].config(name=found.format)


def digests(found: FoundModel, data: ModelData) -> dict[str, str]:
    """Return the sha256 of each file that a model's weights were read from, by its path in the folder."""
    return {name: sha256_of(found.path / name) for name in data.files}


def model_of_run(
    folder: RunFolder, recipe: Recipe, plugins: Plugins, device: torch.device, say: Say
) -> tuple[LoadedModel, int]:
    """Load a run's model: the finished one, else that of its newest good checkpoint."""
    if (folder.model / "model.json").is_file() and not _goes_on(folder):
        loaded = load_bundle(folder.model, plugins.registries, device)
        return loaded, int(loaded.tables["step"])
    found = _newest(folder, recipe, say)
    return loaded_from(recipe, plugins.registries, _weights(found, recipe), device), found.manifest.step


def _of_run(folder: RunFolder, plugins: Plugins, say: Say) -> ModelData:
    if (folder.model / "model.json").is_file() and not _goes_on(folder):
        tables, tensors = read_bundle(folder.model)
        return ModelData(_five(tables), tensors, files=(f"model/{_WEIGHTS}",))
    recipe = load(folder.resolved, (), (), plugins.registries)
    found = _newest(folder, recipe, say)
    group = "model" if recipe.train.ema is None else "objective"
    file = f"{found.path.relative_to(folder.path)}/{group}.safetensors"
    return ModelData(model_tables(recipe.resolved()), _weights(found, recipe), files=(file,))


def _newest(folder: RunFolder, recipe: Recipe, say: Say) -> CheckpointData:
    found = store_of(folder, recipe).latest(say)
    if found is None:
        raise CheckpointError(f"{folder.path} has no checkpoint yet; train first: mmx run --resume {folder.path}")
    say(f"the run has not finished; using {found.path.name}")
    return found


def _weights(found: CheckpointData, recipe: Recipe) -> Mapping[str, Tensor]:
    """Return the weights that are evaluated; they stay in their files until they are asked for."""
    whole = joined(("model.", found.tensors["model"]), ("", found.tensors["objective"]))
    places = averaged(whole, None if recipe.train.ema is None else model_build.EMA)
    return Picked({name: (whole, place) for name, place in places.items()})


def _goes_on(folder: RunFolder) -> bool:
    """Say whether a run has a checkpoint that is newer than its model: it had finished, and was asked for more steps."""
    try:
        step = json.loads((folder.model / "model.json").read_bytes())["step"]
    except (OSError, ValueError, KeyError, TypeError):  # loading it will say what is wrong
        return False
    newest = candidates(folder.path / "checkpoints")[:1]
    return isinstance(step, int) and any(one.step > step for one in newest)


def widened(tensors: Mapping[str, Tensor]) -> str:
    """Return a note on tensors in half precision, empty if there are none."""
    half = [dtype for name in tensors if (dtype := dtype_of(tensors, name)) in (torch.float16, torch.bfloat16)]
    names = " and ".join(sorted({str(dtype).removeprefix("torch.") for dtype in half}))
    return f"{len(half)} of {len(tensors)} tensors are stored in {names}; they are float32 from here on" if half else ""


def _five(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tables[name] for name in MODEL_TABLES if name in tables}


def _refuse_untold(found: FoundModel, data: ModelData, tables: Mapping[str, Any]) -> None:
    """Refuse to guess what a folder does not tell and nobody has given."""
    missing = {key: why for key, why in data.untold.items() if not _given(tables, key.split("."))}
    if missing:
        lines = "\n".join(f"  {key}: {why}" for key, why in missing.items())
        sets = " ".join(f"--set '{key}=...'" for key in missing)
        raise CheckpointError(
            f"{found.path} ({found.format}) does not tell all of the model:\n{lines}\n"
            f"give it: {sets}; in Python, mmx.load(MODEL, overrides=[...]); mmx recipe schema {' '.join(_tops(missing))}"
        )


def _given(tables: object, path: list[str]) -> bool:
    for key in path:
        if not isinstance(tables, Mapping) or key not in tables:
            return False
        tables = cast("Mapping[str, object]", tables)[key]
    return True


def _tops(keys: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in keys))
