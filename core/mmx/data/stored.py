"""Datasets of picture files: from the bytes that are stored to samples."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, final

import numpy as np
from jaxtyping import Float64
from typing_extensions import override

from mmx.config import StoredConfig
from mmx.data.decode import decode, size_of
from mmx.data.permute import seed_of
from mmx.data.stages import stage
from mmx.errors import RecipeError
from mmx.parts.dataset import MEASURES, BadSampleError, Dataset, Raw, Sample

_AHEAD: Final = 64
"""Samples that are told of before they are read."""
_HUGE: Final = 2**1023
"""JSON has whole numbers that no float can hold."""


class StoredDataset(Dataset):
    """A dataset that has its pictures as files. It says how a sample's bytes are read; they are decoded here.

    Samples with the same captions have the same ``group``: a loss can leave them out of each other's negatives. Pictures
    that are not wanted (``samples = "texts"``) are not decoded; ``raw`` need not read them (``pictured``), nor captions
    that are not (``captioned``).
    """

    def __init__(self, config: StoredConfig) -> None:
        self._largest, self._draft = config.max_pixels, config.draft
        self.pictured, self.captioned = (modality in config.modalities() for modality in ("image", "text"))

    @abstractmethod
    def raw(self, index: int) -> Raw:
        """Read one sample as it is stored.

        Raises:
            BadSampleError: it has no picture or no caption, where it should.
            DataError: the dataset as a whole cannot be read.
            IndexError: there is no such sample.
        """

    def _take(self, other: StoredDataset) -> None:
        """Read files as another dataset does."""
        self._largest, self._draft = other._largest, other._draft
        self.pictured, self.captioned = other.pictured, other.captioned

    @final
    @override
    def read(self, index: int) -> Sample:
        with stage("read"):
            raw = self.raw(index)
        if not self.pictured:
            return self._sample(raw)
        with stage("decode"), blamed(raw):
            image, *more = [decode(data, raw.key, self._largest, self._draft) for data in (raw.image, *raw.more)]
        return replace(self._sample(raw), image=image, more=tuple(more))

    @override
    def read_texts(self, index: int) -> Sample:
        with stage("read"):
            return self._sample(self.raw(index))

    def _sample(self, raw: Raw) -> Sample:
        texts, roles = (raw.texts, raw.roles) if self.captioned else ((), {})
        alike = {"group": seed_of(*texts)} if texts else {}
        return Sample(raw.key, None, texts, {**alike, **raw.facts}, roles=roles)

    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Float64[np.ndarray, " samples"]]:
        """Return numbers of every sample, from the headers of pictures and from what is stored beside them."""
        found = {name: np.full(len(self), np.nan) for name in names}
        seen = set[str]()
        count = len(self)
        self.ahead(range(min(_AHEAD, count)))
        for index in range(count):
            if index % _AHEAD == 0:
                self.ahead(range(min(index + _AHEAD, count), min(index + 2 * _AHEAD, count)))
            try:
                raw = self.raw(index)
            except BadSampleError:
                continue
            measures = measured(raw)
            seen.update(measures)
            for name in names:
                found[name][index] = measures.get(name, np.nan)
        unknown = [name for name in names if name not in seen and name not in MEASURES]
        if unknown:
            numbers = ", ".join(sorted(seen)) or "none"
            raise RecipeError(f"no sample has the number '{unknown[0]}' (numbers there are: {numbers})")
        return found


@contextmanager
def blamed(raw: Raw) -> Generator[None]:
    """Add where a sample is to what is wrong with it."""
    try:
        yield
    except BadSampleError as error:
        raise BadSampleError(f"{error} ({raw.origin})" if raw.origin else str(error)) from error


def measured(raw: Raw) -> dict[str, float]:
    """Return the numbers of a sample: those stored with it, then ``MEASURES``; sides are left out if not to be read."""
    numbers = {
        name: float(value)
        for name, value in raw.fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE
    }
    size = size_of(io.BytesIO(raw.image))
    sides = {} if size is None else {"width": float(size[0]), "height": float(size[1])}
    return {**numbers, **sides, "characters": float(max(map(len, raw.texts), default=0))}
