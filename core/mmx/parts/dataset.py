"""The contract of datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image


@dataclass(frozen=True)
class Sample:
    """One sample as read: a picture, its captions, and facts about it."""

    key: str
    """Names the sample in messages and in the report; unique within the dataset."""
    image: Image.Image | None
    texts: tuple[str, ...]
    facts: Mapping[str, int] = field(default_factory=dict[str, int])
    """Numbers of the sample, such as ``label`` and ``group``; losses and evaluators read them by name."""


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

    def classes(self) -> Classes | None:
        """Return the classes of a labelled dataset, None if it has none."""
        return None
