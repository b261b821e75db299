"""The dataset ``shards``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, final

import numpy as np
from jaxtyping import Float64
from typing_extensions import override

from mmx.data.captions import texts_from
from mmx.data.stored import StoredDataset
from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError, Raw
from mmx_shards.catalog import Catalog
from mmx_shards.columns import columns
from mmx_shards.configs import ShardsConfig
from mmx_shards.format.fields import fields_of
from mmx_shards.format.roles import CAPTION, IMAGE, JSON, LARGEST, PARTS
from mmx_shards.format.rows import Span, check_of
from mmx_storage.files import Files
from mmx_storage.urls import expand_all, shown

_GAP: Final = 8_192
"""Bytes between the parts of a sample that are read along with them: headers, and small members that are not used."""


@final
class Shards(StoredDataset):
    """Pictures and captions in tars, read by offset. Without an index, headers are read once, when first needed.

    Samples with the same captions have the same ``group``: a loss can leave them out of each other's negatives.
    """

    def __init__(self, config: ShardsConfig) -> None:
        super().__init__(config)
        self.config = config
        self.files = Files(expand_all(config.urls), config.remote)
        self._sized = set[int]()

    @cached_property
    def catalog(self) -> Catalog:
        """All samples."""
        return Catalog(self.config, self.files)

    @override
    def __len__(self) -> int:
        return len(self.catalog)

    @override
    def key(self, index: int) -> str:
        return self.catalog.key(index)

    @override
    def raw(self, index: int) -> Raw:
        key, image, caption, beside = self._parts(index)
        texts = texts_from(caption, key, self.config.caption) if self.captioned else ()
        own = caption if self.config.extensions.caption_extension == "json" else beside
        return Raw(key, image, texts, {} if own is None else fields_of(own))

    def members(self, index: int) -> tuple[str, bytes, bytes]:
        """Return a sample's key, picture and caption as stored, for datasets that read them in their own way."""
        return self._parts(index)[:3]

    @override
    def runs(self) -> Sequence[int]:
        return [count for count in self.catalog.counts if count]

    @override
    def columns(self, names: Sequence[str]) -> Mapping[str, Float64[np.ndarray, " samples"]]:
        if self.catalog.facts is None or not (self.pictured and self.captioned):
            return super().columns(names)  # the index has numbers of whole pairs alone
        return columns(names, self.catalog.rows, self.catalog.facts, self.catalog.spans())

    @override
    def ahead(self, indices: Sequence[int]) -> None:
        self.files.ahead(
            (shard, start, end - start)
            for shard, row in map(self.catalog.locate, indices)
            if not self._fault(row)
            for start, end in _runs([span for span in self._spans(row) if span[0] >= 0])
        )

    @override
    def notes(self) -> Sequence[str]:
        return self.catalog.notes

    def _parts(self, index: int) -> tuple[str, bytes, bytes, bytes | None]:
        shard, row = self.catalog.locate(index)
        key, fault = self.catalog.key(index), self._fault(row)
        if fault:
            raise BadSampleError(f"{key}: {fault}")
        self._check_size(shard)
        image, caption, beside = self._read(key, shard, self._spans(row))
        self._check(key, row, (image, caption, beside))
        return key, image or b"", caption or b"", beside  # where one is wanted and not there, it was refused

    def _spans(self, row: int) -> tuple[Span, Span, Span]:
        """Return where the parts are, without JSON that is too large to be read."""
        place = self.catalog.rows.place(row)
        return place.image, place.caption, place.json if place.json[1] <= LARGEST[JSON] else (-1, 0)

    def _fault(self, row: int) -> str:
        """Return why a sample cannot be used, as far as is known before it is read."""
        again, spans = self.catalog.rows.again(row), self._spans(row)
        if again is not None:
            part, offset = again
            first = self.catalog.rows.places[row, 2 * part]
            return f"has a second {PARTS[part]}: they are at bytes {first} and {offset} of its shard"
        for part in (*([IMAGE] if self.pictured else []), *([CAPTION] if self.captioned else [])):
            offset, size = spans[part]
            if offset < 0:
                return f"has no {PARTS[part]} ({self.config.extensions.wanted(part)})"
            if size > LARGEST[part]:
                return f"the {PARTS[part]} has {size} bytes, more than {LARGEST[part]}"
        return ""

    def _check_size(self, shard: int) -> None:
        """Check once that a shard has the size that the index says."""
        index = self.catalog.index
        if index is None or shard in self._sized:
            return
        size, indexed = self.files.size(shard), index.contents.shards[self.catalog.shards[shard]].size
        if size != indexed:
            raise DataError(
                f"shard {shown(self.files.urls[shard])} has {size} bytes, but had {indexed} when it was indexed: it was "
                "changed or cut short; get it again, or run mmx data index again if it should be so"
            )
        self._sized.add(shard)

    def _read(self, key: str, shard: int, spans: Sequence[Span]) -> list[bytes | None]:
        """Read the parts of a sample; those that are near each other at once."""
        there = [span for span in spans if span[0] >= 0]
        runs = {start: self.files.read(shard, start, end - start) for start, end in _runs(there)}
        found: list[bytes | None] = []
        for part, (offset, size) in enumerate(spans):
            if offset < 0:
                found.append(None)
                continue
            start = max(start for start in runs if start <= offset)
            data = runs[start][offset - start : offset - start + size]
            if len(data) < size:
                raise BadSampleError(
                    f"{key}: the shard is cut short inside the {PARTS[part]} ({len(data)} of {size} bytes)"
                )
            found.append(data)
        return found

    def _check(self, key: str, row: int, parts: Sequence[bytes | None]) -> None:
        """Compare what was read with the index: a shard may have been replaced by one of the same size."""
        facts = self.catalog.facts
        if facts is None:
            return
        digests = [None if data is None else hashlib.sha256(data).digest() for data in parts]
        if check_of(self.catalog.rows.key(row), digests) != int(facts.checks[row]):
            raise BadSampleError(f"{key}: its bytes are not those that were indexed (checksum)")


def _runs(spans: Sequence[Span]) -> Sequence[tuple[int, int]]:
    """Return starts and ends of what is read at once."""
    runs: list[tuple[int, int]] = []
    for offset, size in sorted(spans):
        if runs and offset - runs[-1][1] <= _GAP:
            runs[-1] = (runs[-1][0], max(runs[-1][1], offset + size))
        else:
            runs.append((offset, offset + size))
    return runs
