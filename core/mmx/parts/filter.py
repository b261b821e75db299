"""The contract of filters: which samples of a dataset are used."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float64

from mmx.parts.dataset import Sample

Columns = Mapping[str, Float64[np.ndarray, " samples"]]


class Filter(ABC):  # noqa: B024 - what it is asked is in its two forms
    """Says which samples stay. Built as ``Class(config)``; derive from one of the two forms, by what it needs.

    It is asked once, before training starts, and by ``mmx data``. What it says must depend on the samples and its options
    alone: each process of a run asks one of its own.
    """


class NumberFilter(Filter):
    """A filter by numbers of samples. It decodes nothing, and with an index it reads no sample."""

    numbers: tuple[str, ...] = ()
    """Names of the numbers that it needs: of ``MEASURES``, or of numbers that are stored with samples."""

    @abstractmethod
    def stay(self, columns: Columns) -> Bool[np.ndarray, " samples"]:
        """Return which samples stay, by the columns of ``numbers``, which are NaN where a sample has none.

        A sample that cannot be measured should stay: then it is named and counted as a bad one.
        """


class SampleFilter(Filter):
    """A filter that looks at samples one by one, in their order; it may remember what it has seen.

    Those that other filters leave out, or that cannot be read, are not shown to it; the latter stay, to be counted as bad.
    """

    pictures: bool = False
    """Whether it needs the decoded pictures, rather than captions and facts alone."""

    @abstractmethod
    def stays(self, sample: Sample) -> bool:
        """Say whether a sample stays."""
