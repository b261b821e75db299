"""Pictures or captions alone, from shards."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmx.parts.dataset import BadSampleError
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
from mmx_shards.format.build import build
from mmx_shards.format.index import NAME
from mmx_shards.format.roles import Extensions
from mmx_storage.files import Files

Make = Callable[..., Path]
Members = list[tuple[str, bytes]]


def shards(path: Path, samples: str) -> Shards:
    return Shards(ShardsConfig.model_validate({"name": "shards", "urls": [str(path)], "samples": samples}))


@pytest.mark.parametrize("indexed", [False, True])
def test_what_is_not_wanted_need_not_be_there(indexed: bool, make: Make, pairs: Members) -> None:
    members = [pairs[0], pairs[1], pairs[2], pairs[5]]  # a pair, a picture alone, a caption alone
    path = make("a.tar", members)
    if indexed:
        build(Files([str(path)]), Extensions(), path.parent / NAME, 1)
    images, texts, both = shards(path, "images"), shards(path, "texts"), shards(path, "pairs")
    found = [images.read(0), images.read(1)]
    assert all(sample.image is not None and sample.texts == () for sample in found)
    assert [texts.read(place).texts for place in (0, 2)] == [("caption 0",), ("caption 2",)]
    assert texts.read(2).image is None
    for dataset, place in ((images, 2), (texts, 1), (both, 1), (both, 2)):
        with pytest.raises(BadSampleError, match="has no"):
            dataset.read(place)
    assert np.isnan(images.columns(["width"])["width"]).tolist() == [False, False, True]
    assert texts.columns(["characters"])["characters"][[0, 2]].tolist() == [9, 9]
