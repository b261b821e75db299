"""Formats of weights: what is written is recognised and comes back, damage is told, and nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from mmx.config import WeightsConfig
from mmx.errors import CheckpointError
from mmx.models.files import PICKLED
from mmx.parts.batch import Pixels
from mmx.parts.weights import MODEL_TABLES, ModelData
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.small_models import config_of, format_of, loaded, new_folder, read, written
from mmx_kit.sources import CAPTIONS

_KIND: Final = ("weights",)
_OTHERS: Final[Mapping[str, Mapping[str, bytes]]] = {
    "an empty folder": {},
    "a model folder of mmx": {"model.json": b'{"format": 1}', "model.safetensors": b""},
    "a folder of weights that nothing describes": {"model.safetensors": b"", "weights.safetensors": b""},
    "a description of another kind of model": {"config.json": b'{"model_type": "a model of the conformance kit"}'},
    "descriptions that are no JSON": {"config.json": b"\xff{", "open_clip_config.json": b"[" * 9999},
}
_DAMAGED: Final = (b"", b"{", b"[]", b'{"a": ' * 9999, b"\xff\xfe")


def _recognised(case: Case) -> None:
    folder, _ = written(case)
    config = config_of(case)
    if not config.recognises(folder):
        raise BrokenError("it does not recognise a folder that it wrote itself; recognises must return True")
    for what, files in _OTHERS.items():
        other = new_folder(case, what)
        for name, data in files.items():
            (other / name).write_bytes(data)
        if config.recognises(other):
            raise BrokenError(
                f"it recognises {what} as its own; look into the description, not at the names of files only"
            )
    for path in (case.folder / "nowhere", next(iter(folder.iterdir()))):
        if config.recognises(path):
            raise BrokenError(
                f"it recognises {'a file' if path.is_file() else 'what is not there'} as a folder of its own"
            )


def _quick(case: Case) -> None:
    folder, _ = written(case)
    config = config_of(case)
    for path in _described(folder):
        whole = path.read_bytes()
        for data in _DAMAGED:
            path.write_bytes(data)
            _asked(config, folder, f"where {path.name} is {data[:8]!r}")
        path.unlink()
        path.mkdir()
        _asked(config, folder, f"where {path.name} is a folder")
        path.rmdir()
        path.write_bytes(whole)
    for path in _binary(folder):
        path.write_bytes(b"")
    if not config.recognises(folder):
        raise BrokenError("it recognises a folder by its weights; that is slow: read the description alone")


def _asked(config: WeightsConfig, folder: Path, what: str) -> None:
    try:
        config.recognises(folder)
    except Exception as error:
        raise BrokenError(f"recognises raises {type(error).__name__} {what}: {error}; it must say False") from error


def _round_trip(case: Case) -> None:
    folder, model = written(case)
    pickled = sorted(path.name for path in folder.rglob("*") if path.name.endswith(PICKLED))
    if pickled:
        raise BrokenError(f"it writes {pickled[0]}, a file of pickled Python; write safetensors")
    found = read(case, folder)
    if set(found.tensors) != set(model.tensors):
        odd = min(set(found.tensors) ^ set(model.tensors))
        raise BrokenError(
            f"the tensor {odd} was {'not ' if odd in found.tensors else ''}written and is {_there(odd, found)}"
        )
    for name, tensor in model.tensors.items():
        other = found.tensors[name]
        if other.dtype != tensor.dtype or not torch.equal(other, tensor):
            raise BrokenError(f"the tensor {name} comes back as another: {_told(tensor)} became {_told(other)}")
    absent = [name for name in found.files if not (folder / name).is_file()]
    if not found.files or absent:
        raise BrokenError(f"files names {absent or 'none'}: expected those in the folder that tensors were read from")


def _same_model(case: Case) -> None:
    folder, model = written(case)
    found = read(case, folder)
    lacking = [name for name in MODEL_TABLES if name not in found.tables]
    if found.untold or lacking:
        raise BrokenError(f"a folder that it wrote itself does not tell {', '.join([*found.untold, *lacking])}")
    first, again = (loaded(case, one) for one in (model, found))
    if first.subject.preprocess != again.subject.preprocess:
        raise BrokenError(f"the preprocessing was {first.subject.preprocess}, and is {again.subject.preprocess}")
    words = [one.subject.tokenizer(CAPTIONS) for one in (first, again)]
    if not torch.equal(words[0].ids, words[1].ids):
        raise BrokenError("the tokenizer that it tells gives other ids than the one that was written")
    side = first.subject.preprocess.size
    pixels = Pixels(torch.arange(3 * 3 * side**2).view(3, 3, side, side).mul(7919).remainder(256).to(torch.uint8))
    with torch.no_grad():
        for what, one, two in (
            ("pictures", *(one.subject.model.embed_image(pixels) for one in (first, again))),
            ("texts", *(one.subject.model.embed_text(words[0]) for one in (first, again))),
        ):
            if one.shape != two.shape or (one - two).abs().max() > 1e-5:
                raise BrokenError(f"embeddings of {what} are others after writing and reading: an option was lost")


def _damage(case: Case) -> None:
    folder, model = written(case)
    files = read(case, folder).files
    for name in files:
        whole = (folder / name).read_bytes()
        for what, data in (("is cut", whole[: len(whole) // 2]), ("is empty", b""), ("is not there", None)):
            (folder / name).unlink()
            if data is not None:
                (folder / name).write_bytes(data)
            _refuses(case, folder, f"{name} {what}")
            (folder / name).write_bytes(whole)
    fewer = dict(list(model.tensors.items())[1:])
    target = new_folder(case, "fewer")
    try:
        format_of(case).write(target, ModelData(model.tables, fewer))
    except CheckpointError:
        return
    found = _outcome(case, target)
    if found is not None and set(found.tensors) == set(model.tensors):
        raise BrokenError("a tensor that was never written is read: tensors must come from the folder alone")


def _left_alone(case: Case) -> None:
    folder, model = written(case)
    before = {name: tensor.clone() for name, tensor in model.tensors.items()}
    tables = json.dumps(model.tables)
    stored = _bytes(folder)
    read(case, folder)
    config_of(case).recognises(folder)
    if _bytes(folder) != stored:
        raise BrokenError("reading changes the folder; it is the user's and may be read-only")
    target = new_folder(case, "again")
    format_of(case).write(target, model)
    if json.dumps(model.tables) != tables or any(not torch.equal(model.tensors[n], t) for n, t in before.items()):
        raise BrokenError("writing changes the model that it is given")
    if _bytes(target) != stored:
        raise BrokenError("writing the same model twice gives other files")


def _refuses(case: Case, folder: Path, what: str) -> None:
    if _outcome(case, folder) is not None:
        raise BrokenError(f"a folder whose {what} is read without a word; expected a CheckpointError")


def _outcome(case: Case, folder: Path) -> ModelData | None:
    """Return what reading gives; None where it is refused as it should be."""
    try:
        return read(case, folder)
    except CheckpointError:
        return None
    except Exception as error:
        raise BrokenError(f"{type(error).__name__} instead of a CheckpointError: {error}") from error


def _described(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix == ".json")


def _binary(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix == ".safetensors")


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _told(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}".removeprefix("torch.")


def _there(name: str, found: ModelData) -> str:
    return "read" if name in found.tensors else "not read"


WEIGHTS_CHECKS: Final = (
    Check("recognised", "it recognises what it wrote, and no other folder", _KIND, _recognised),
    Check("quick look", "recognising raises nothing, whatever is there, and reads no weights", _KIND, _quick),
    Check("tensors", "what is written and read again has the same tensors", _KIND, _round_trip),
    Check("same model", "the tables that are read make the model that was written", _KIND, _same_model),
    Check("damage", "files that are cut or missing are a CheckpointError, and nothing is made up", _KIND, _damage),
    Check("left alone", "reading leaves the folder, and writing the model, as it was", _KIND, _left_alone),
)
