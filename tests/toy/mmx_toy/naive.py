"""A careless trainer, made from the real one by undoing one precaution: the proofs must notice each."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mmx.data.order import Order, Ticket
from mmx.run import checkpoint, manifest
from mmx.run.manifest import Manifest, Record
from mmx.run.tensors import pack

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
    epoch, place = divmod(start, self.per_epoch)
    for step in range(start, steps):
        now = (step - place) // self.per_epoch
        first = (step - place) % self.per_epoch * self.batch
        yield [Ticket(index, now) for index in self.permutation(now)[first : first + self.batch]]
    assert epoch >= 0


def _draw_globally() -> None:
    make = DataLoader.__init__

    def careless(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **{**kwargs, "generator": None})

    DataLoader.__init__ = careless


def _in_place(self: checkpoint.Store, step: int, files: Mapping[str, bytes], score: float | None = None) -> Path:
    folder = self.run / "checkpoints" / "step-00000000"
    folder.mkdir(parents=True, exist_ok=True)
    described = Manifest(
        format=1, mmx="", step=step, score=score, recipe="", files={name: Record.of(data) for name, data in files.items()}
    )
    for name, data in {**files, manifest.NAME: described.encode()}.items():
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(handle, data)
        os.fsync(handle)
        os.close(handle)
    return folder
