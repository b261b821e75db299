"""A careless trainer, made from the real one by undoing one precaution: the proofs must notice each."""

import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from mmx.data.order import Order, Ticket
from mmx.run import checkpoint, manifest
from mmx.run.manifest import Manifest, Record

KINDS = ("order", "random", "save")


def make_naive(kind: str) -> None:
    """Undo a precaution in this process.

    order: a resumed run starts at the beginning of its epoch.
    random: the loader draws its seed from the global generator, after that was restored.
    save: a checkpoint is written over the one before.
    """
    if kind == "order":
        Order.tickets = _from_the_start
    if kind == "random":
        _draw_globally()
    if kind == "save":
        checkpoint.Store.write = _in_place


def _from_the_start(self: Order, start: int, steps: int) -> Iterator[list[Ticket]]:
    for step in range(start, steps):
        epoch, first = self.place(step - start % self.per_epoch)
        yield [Ticket(index, epoch) for index in self.permutation(epoch)[first : first + self.batch]]


def _draw_globally() -> None:
    make = DataLoader.__init__

    def careless(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **{**kwargs, "generator": None})

    DataLoader.__init__ = careless


def _in_place(self: checkpoint.Store, step: int, files: Mapping[str, bytes], score: float | None = None) -> Path:
    folder = self.run / "checkpoints" / "step-00000000"
    folder.mkdir(parents=True, exist_ok=True)
    seen = folder.with_name(f".tmp-{uuid.uuid4().hex}")
    seen.mkdir()  # only to be seen: this is how the proof knows that a checkpoint is being written
    described = Manifest(
        format=1,
        mmx="",
        step=step,
        score=score,
        recipe="",
        files={name: Record.of(data) for name, data in files.items()},
    )
    for name, data in {**files, manifest.NAME: described.encode()}.items():
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(handle, data)
        os.fsync(handle)
        os.close(handle)
    seen.rmdir()
    return folder
