"""The embedded drawings as a dataset."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, final

from typing_extensions import override

from mmx.data.decode import decode
from mmx.parts.dataset import Classes, Dataset, Sample
from mmx_quickstart.concepts import DATA, groups, held_out, read_concepts
from mmx_quickstart.config import EmojiConfig
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards


@final
class Emoji(Dataset):
    """Drawings of concepts by the chosen artists. ``label`` and ``group`` are the concept's place in the list.

    Decoded drawings are kept: 7 kB each, and every epoch reads them again.
    """

    def __init__(self, config: EmojiConfig) -> None:
        urls = tuple(str(DATA / f"{style}.tar") for style in config.styles)
        self._shards = Shards(ShardsConfig(name="shards", urls=urls, image=("webp",), caption="json:label"))
        self._concepts = read_concepts()
        self._label = {concept.code: label for label, concept in enumerate(self._concepts)}
        self._held = held_out(self._concepts, config.holdout, config.holdout_seed)
        self._tags = config.captions == "name_and_tags"
        self._kept: dict[int, Sample] = {}
        every = range(len(self._shards))
        self._indices = [i for i in every if config.split == "test" or self._code(i) not in self._held]

    @override
    def __len__(self) -> int:
        return len(self._indices)

    @override
    def key(self, index: int) -> str:
        return self._shards.key(self._indices[index])

    @override
    def read(self, index: int) -> Sample:
        if index not in self._kept:
            self._kept[index] = self._read(index)
        kept = self._kept[index]
        # A copy: whoever draws into a picture must not change what the next epoch reads.
        return replace(kept, image=None if kept.image is None else kept.image.copy())

    def _read(self, index: int) -> Sample:
        key, image, caption = self._shards.members(self._indices[index])
        facts: dict[str, Any] = json.loads(caption)
        texts = (facts["label"], *facts["tags"]) if self._tags else (facts["label"],)
        label = self._label[facts["concept"]]
        return Sample(key, decode(image, key), texts, {"label": label, "group": label})

    @override
    def classes(self) -> Classes:
        names = [concept.label for concept in self._concepts]
        return Classes(names, groups=groups(self._concepts, self._held))

    def _code(self, index: int) -> str:
        """Return the concept of a key such as ``noto/noto-1f600``."""
        return self._shards.key(index).partition("/")[2].partition("-")[2]
