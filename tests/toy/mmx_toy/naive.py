"""A careless trainer, made from the real one by undoing one precaution: the proofs must notice each."""

import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from mmx.checkpoint import manifest
from mmx.checkpoint import store as checkpoint
from mmx.checkpoint.content import Content
from mmx.checkpoint.manifest import Manifest, Record
from mmx.data.order import Asked, Order

KINDS = ("order", "random", "save")


def make_naive(kind: str) -> None:
    """Undo a precaution in this process.

    order: a resumed run starts its data over.
    random: the loader draws its seed from the global generator, after that was restored.
    save: the last checkpoint makes room before the next one is written, and that in its place.
    """
    if kind == "order":
        Order.asked = _from_the_start
    if kind == "random":
        _draw_globally()
    if kind == "save":
        checkpoint.Store.write = _in_place


def _from_the_start(
    self: Order, start: int, stop: int, rank: int = 0, ranks: int = 1, ahead: int = 0
) -> Iterator[Asked]:
    for step in range(stop - start):
        yield Asked(self.tickets(step), ())


def _draw_globally() -> None:
    make = DataLoader.__init__

    def careless(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **{**kwargs, "generator": None})

    DataLoader.__init__ = careless


def _in_place(
    self: checkpoint.Store,
    step: int,
    files: Mapping[str, Content],
    score: float | None = None,
    frozen: Mapping[str, Content] | None = None,
) -> Path:
    assert not frozen, "the toy trains all that it has"
    whole = {name: b"".join(content.pieces()) for name, content in files.items()}
    records = {name: Record.of(data) for name, data in whole.items()}
    described = Manifest(format=1, mmx="", step=step, score=score, recipe="", files=records)
    for old in self.folder.glob("step-*"):
        shutil.rmtree(old)
    folder = self.folder / f"step-{step:08d}"
    folder.mkdir(parents=True)
    seen = self.folder / f".tmp-{uuid.uuid4().hex}"  # made only to be seen: so the proof knows that one is written
    seen.mkdir()
    for name, data in whole.items():
        time.sleep(0.02)  # as with larger weights
        (folder / name).write_bytes(data)
    seen.rmdir()
    (folder / manifest.NAME).write_bytes(described.encode())
    return folder
