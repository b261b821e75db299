"""Which samples go into which shard: a function of their order and of what is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

import numpy as np

from mmx.data.permute import Permutation, seed_of
from mmx.data.stored import StoredDataset
from mmx.errors import RecipeError
from mmx.parts.dataset import Raw
from mmx_data.keys import Keys
from mmx_data.picture import Recode, recoded
from mmx_data.reading import Unread, samples
from mmx_data.shard import members
from mmx_data.source import Source
from mmx_storage.urls import shown

FORMAT: Final = 1
"""Of ``pack.jsonl``, and of what is written into shards."""
_WEIGHED: Final = 64
"""Samples, evenly spread, by whose sizes it is chosen how many go into a shard."""
_BLOCK: Final = 512
"""Bytes that a tar is made of; each member has one more."""


@dataclass(frozen=True)
class Part:
    """Samples that go into shards of one name."""

    pattern: str
    """The shards' name; ``{}`` is where the number goes."""
    indices: Sequence[int]


@dataclass(frozen=True)
class PackOptions:
    """What is asked for."""

    how: Recode = field(default_factory=Recode)
    shard_mb: float = 256.0
    """MB of a shard, about; the number of samples in one is chosen by it."""
    shard_samples: int | None = None
    """Samples of a shard, skipped ones included; exact."""
    workers: int = 1


def check_pattern(pattern: str) -> str:
    """Return a pattern that can name shards.

    Raises:
        RecipeError: it cannot.
    """
    name = pattern.replace("{}", "", 1)
    if pattern.count("{}") != 1 or not name.endswith(".tar") or set(name) & set("{}/,\\") or not name.isprintable():
        raise RecipeError(
            f"--name {pattern[:80]}: should be a file name with one {{}} that ends in .tar, such as a-{{}}.tar"
        )
    return pattern


def order_of(dataset: StoredDataset, seed: int | None) -> Sequence[int]:
    """Return all samples, in a random order that depends on the seed only, or in their own if there is none."""
    count = len(dataset)
    if seed is None:
        return range(count)
    return array("q", Permutation(count, seed_of("pack", seed))(np.arange(count)).tolist())


def plan_of(source: Source, dataset: StoredDataset, keys: Keys, options: PackOptions) -> dict[str, Any]:
    """Return what the shards depend on, as plain values without secrets."""
    config = _hidden(source.config.model_dump(mode="json", exclude_defaults=True))
    shards = {"shard_samples": options.shard_samples} if options.shard_samples else {"shard_mb": options.shard_mb}
    return {
        "format": FORMAT,
        **{f"source.{name}": value for name, value in config.items()},
        "samples": len(dataset),
        "keys": keys.digest,
        **asdict(options.how),
        **shards,
    }


def _hidden(value: Any) -> Any:
    """Leave users, passwords and queries out of URLs."""
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_hidden(item) for item in cast(list[Any], value)]
    return shown(value) if isinstance(value, str) and "://" in value else value


def shards_of(part: Part, per: int) -> dict[str, Sequence[int]]:
    """Return the samples of each shard of a part, by the shard's name."""
    starts = range(0, len(part.indices), per)
    return {
        part.pattern.replace("{}", number(place)): part.indices[start : start + per]
        for place, start in enumerate(starts)
    }


def number(shard: int) -> str:
    """Write a shard's number, as in its name."""
    return f"{shard:05d}"


def spread(samples: int, most: int) -> list[int]:
    """Return indices of at most so many samples, evenly spread, the first and the last among them."""
    if samples <= most or most == 1:
        return list(range(min(samples, most)))
    return [at * (samples - 1) // (most - 1) for at in range(most)]


def per_shard(dataset: StoredDataset, options: PackOptions, largest: int) -> int:
    """Choose how many samples come to the size that a shard should have, by the mean of some of them."""

    def weigh(index: int, raw: Raw) -> int:
        found = members(raw.key, raw, recoded(raw.image, raw.key, options.how, largest))
        sizes = [len(data) for name, data in found.items() if name != "__key__"]
        return sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for size in sizes)

    found = samples(dataset, spread(len(dataset), _WEIGHED), weigh)
    sizes = [size for size in found if not isinstance(size, Unread)]
    return max(1, round(options.shard_mb * 1e6 * len(sizes) / sum(sizes))) if sizes else len(dataset)
