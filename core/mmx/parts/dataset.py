"""The contract of datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from PIL import Image

from mmx.errors import RecipeError

MEASURES: Final = ("width", "height", "characters")
"""What every dataset can tell of its samples: sides of the picture in pixels, and length of the longest caption."""


Fact = int | float | tuple[float, ...]
"""A whole number of 64 bits, a number, or a vector. A fact is of one type, and of one length, in all samples."""


@dataclass(frozen=True)
class Sample:
    """One sample as read: its pictures, its captions, and facts about it. It may have no picture, or no captions."""

    key: str
    """Names the sample in messages and in the report; unique within the dataset."""
    image: Image.Image | None
    texts: tuple[str, ...]
    """Captions that have no role."""
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    """Numbers of the sample, such as ``label`` and ``group``; losses and evaluators read them by name."""
    more: tuple[Image.Image, ...] = ()
    """Further pictures in their order, such as later frames or the second of a pair."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Captions that have a role, such as ``question`` and ``answer``, by it."""

    def picture(self, number: int = 0) -> Image.Image:
        """Return a picture by its number.

        Raises:
            BadSampleError: there are not so many.
        """
        if self.image is None:
            raise BadSampleError("has no picture")
        pictures = (self.image, *self.more)
        if number >= len(pictures):
            raise BadSampleError(f"has no picture {number} (it has {len(pictures)}, counted from 0)")
        return pictures[number]

    def captions(self, role: str | None = None) -> tuple[str, ...]:
        """Return the captions of a role, or those that have none."""
        return self.texts if role is None else self.roles.get(role, ())


@dataclass(frozen=True)
class Raw:
    """One sample as stored: the picture's file, not decoded; empty where samples have no pictures."""

    key: str
    """Names the sample in messages and in the report; unique within the dataset."""
    image: bytes
    texts: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else is stored with it, as in its JSON or in the columns of its row."""
    facts: Mapping[str, Fact] = field(default_factory=dict[str, Fact])
    """As in :class:`Sample`."""
    origin: str = ""
    """Where it is, as messages name it, if its key does not tell."""
    more: tuple[bytes, ...] = ()
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """As in :class:`Sample`, pictures not decoded."""


@dataclass(frozen=True)
class Classes:
    """What a labelled dataset is classified into. ``facts["label"]`` of a sample is an index into ``names``."""

    names: Sequence[str]
    templates: Sequence[str] = ("{}",)
    """Prompts; ``{}`` is where the name goes."""
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    """Named subsets of the labels that are reported apart, the first of them as the headline."""


class BadSampleError(Exception):
    """A sample cannot be used. It is skipped, named and counted. The message says why."""


class Dataset(ABC):
    """Samples by index. The order of training is the core's: a function of seed, epoch and position only.

    Built as ``Class(config)``. Must be picklable, since it is sent to data workers; open files lazily.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples, known without reading them."""

    @abstractmethod
    def key(self, index: int) -> str:
        """Return a sample's key without decoding it."""

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Read and decode one sample.

        Raises:
            BadSampleError: it cannot be decoded or lacks what it needs.
            DataError: the dataset as a whole cannot be read.
            IndexError: there is no such sample.
        """

    def read_texts(self, index: int) -> Sample:
        """Read one sample for its captions and facts alone; datasets that can need not decode its picture.

        Raises:
            BadSampleError: its captions cannot be used.
            DataError: the dataset as a whole cannot be read.
            IndexError: there is no such sample.
        """
        return replace(self.read(index), image=None, more=())

    def classes(self) -> Classes | None:
        """Return the classes of a labelled dataset, None if it has none."""
        return None

    def runs(self) -> Sequence[int]:
        """Return the sizes of runs of samples that are stored together, such as shards, in order; their sum is the length.

        With ``data.window`` so many runs are mixed at a time, which reads each one once an epoch and few at once.
        """
        return (len(self),)

    def columns(self, names: Sequence[str]) -> Mapping[str, Float64[np.ndarray, " samples"]]:
        """Return numbers of every sample by name, for filters; NaN where a sample has none.

        The names are those of ``MEASURES``, or of numbers that are stored with samples (:attr:`Raw.fields`). This form
        reads every sample, and knows ``MEASURES`` alone.

        Raises:
            RecipeError: the dataset has no such numbers.
        """
        unknown = [name for name in names if name not in MEASURES]
        if unknown:
            raise RecipeError(f"samples have no number '{unknown[0]}' (they have: {', '.join(MEASURES)})")
        found = np.full((len(self), len(MEASURES)), np.nan)
        for index in range(len(self)):
            try:
                sample = self.read(index)
            except BadSampleError:
                continue
            sides = (np.nan, np.nan) if sample.image is None else sample.image.size
            found[index] = (*sides, max(map(len, sample.texts), default=0))
        return {name: found[:, MEASURES.index(name)] for name in names}

    def ahead(self, indices: Sequence[int]) -> None:  # noqa: B027 - most have nothing to fetch
        """Take note that these samples will be read soon, in a data worker; one that reads slowly may begin to fetch them."""

    def notes(self) -> Sequence[str]:
        """Return what whoever trains on it should know, such as what cannot be proved of it; said once at the start."""
        return ()
