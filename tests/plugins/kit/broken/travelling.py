"""Datasets that do not do in data workers, or in the process of others, what they do alone."""

import os
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import get_worker_info
from typing_extensions import override

from broken.datasets import Stripes, StripesConfig
from broken.table import Broken
from mmx.parts.dataset import Sample


class ByWorker(Stripes):
    """Each worker reads a share of its own, as iterable datasets do."""

    @override
    def draw(self, index: int) -> Image.Image:
        worker = get_worker_info()
        return super().draw(index if worker is None else index + worker.id + 1)


class Passing(Stripes):
    """Passes over bad samples, so that what is read depends on what was read before."""

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.passed = 0

    @override
    def read(self, index: int) -> Sample:
        if index == 4:
            self.passed += 1
            return super().read(5)
        sample = super().read(index)
        return Sample(sample.key, sample.image, sample.texts, {"label": self.passed % 2})


class HoldsFile(Stripes):
    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.file = Path(__file__).open("rb")

    def __del__(self) -> None:
        self.file.close()


class HoldsFunction(Stripes):
    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        self.name = lambda index: f"stripes-{index}"


class HoldsInClass(Stripes):
    """Keeps on the class what pickles leave out."""

    shift = 0

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        HoldsInClass.shift = 5

    @override
    def draw(self, index: int) -> Image.Image:
        return super().draw(index + self.shift)


class Seeding(Stripes):
    @override
    def draw(self, index: int) -> Image.Image:
        torch.manual_seed(index)
        return super().draw(index).rotate(int(torch.randint(360, ())))


class Moving(Stripes):
    """Changes the working directory to read relative paths."""

    def __init__(self, config: StripesConfig) -> None:
        super().__init__(config)
        os.chdir("/")


_CAUGHT = {
    "resuming": (ByWorker, Passing),
    "spawned workers": (HoldsFile, HoldsFunction, HoldsInClass),
    "global state": (Seeding, Moving),
}
TRAVELLING = tuple(
    Broken("dataset", part.__name__, f"{__name__}:{part.__name__}", StripesConfig, check)
    for check, parts in _CAUGHT.items()
    for part in parts
)
