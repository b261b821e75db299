"""The dataset ``shards``."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any, Final, cast, final

from typing_extensions import override

from mmx.data.stored import StoredDataset
from mmx.parts.dataset import BadSampleError, Raw
from mmx.shards.index import Index, caption_extension, scan
from mmx.storage.files import Files
from mmx.storage.urls import expand_all
from mmx_shards.configs import ShardsConfig

_LARGEST_IMAGE: Final = 2**28
_LARGEST_CAPTION: Final = 2**20


@final
class Shards(StoredDataset):
    """Pictures and captions in tars, read by offset. The shards' headers are read once, when first needed.

    Samples with the same captions have the same ``group``: a loss can leave them out of each other's negatives.
    """

    def __init__(self, config: ShardsConfig) -> None:
        super().__init__(config)
        self.config = config
        self.files = Files(expand_all(config.urls))

    @cached_property
    def index(self) -> Index:
        """All samples; reading it the first time scans every shard."""
        return scan(self.files, self.config)

    @override
    def __len__(self) -> int:
        return len(self.index)

    @override
    def key(self, index: int) -> str:
        return self.index.keys[index]

    @override
    def raw(self, index: int) -> Raw:
        key, image, caption = self.members(index)
        return Raw(key, image, self._texts(key, caption))

    def members(self, index: int) -> tuple[str, bytes, bytes]:
        """Return a sample's key, picture and caption as stored, for datasets that read them in their own way."""
        key, place = self.index.keys[index], self.index[index]
        caption = self._bytes(key, place.shard, place.caption, "caption", _LARGEST_CAPTION)
        image = self._bytes(key, place.shard, place.image, "picture", _LARGEST_IMAGE)
        return key, image, caption

    def _bytes(self, key: str, shard: int, span: tuple[int, int], what: str, largest: int) -> bytes:
        offset, size = span
        if offset < 0:
            wanted = (caption_extension(self.config),) if what == "caption" else self.config.image
            raise BadSampleError(f"{key}: has no {what} ({' '.join(f'.{extension}' for extension in wanted)})")
        if size > largest:
            raise BadSampleError(f"{key}: the {what} has {size} bytes, more than {largest}")
        data = self.files.read(shard, offset, size)
        if len(data) < size:
            raise BadSampleError(f"{key}: the shard is cut short inside the {what} ({len(data)} of {size} bytes)")
        return data

    def _texts(self, key: str, data: bytes) -> tuple[str, ...]:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadSampleError(f"{key}: the caption is not UTF-8 (byte {error.start})") from None
        _, is_json, field = self.config.caption.partition(":")
        texts = tuple(text.strip() for text in (_from_json(key, text, field) if is_json else [text]))
        kept = tuple(text for text in texts if text)
        if not kept:
            raise BadSampleError(f"{key}: the caption is empty")
        return kept


def _from_json(key: str, text: str, field: str) -> list[str]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSampleError(f"{key}: the caption is not JSON: {error}") from None
    if not isinstance(value, dict) or field not in value:
        raise BadSampleError(f"{key}: the JSON has no field '{field}'")
    found: Any = cast(dict[str, Any], value)[field]
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in cast(list[Any], texts)):
        raise BadSampleError(f"{key}: the field '{field}' is neither a text nor a list of texts")
    return cast(list[str], texts)
