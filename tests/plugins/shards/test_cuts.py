"""Shards that were cut, replaced or damaged: with an index nothing wrong is read. Other readers say nothing to much of it."""

import io
import os
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
from mmx_shards.format.build import build
from mmx_shards.format.index import NAME
from mmx_storage.files import Files

Make = Callable[..., Path]
SAMPLES = 10


def noise(number: int) -> bytes:
    """Return a picture with detail, so that most of its bytes are of pixels."""
    draw, data = random.Random(number), io.BytesIO()
    Image.frombytes("RGB", (48, 48), draw.randbytes(48 * 48 * 3)).save(data, "JPEG", quality=80)
    return data.getvalue()


@pytest.fixture
def shard(make: Make) -> Path:
    """Return a shard, and beside it an index."""
    members: list[tuple[str, bytes]] = []
    for number in range(SAMPLES):
        members += [(f"{number:03d}.jpg", noise(number)), (f"{number:03d}.txt", f"caption {number}".encode())]
    path = make("a.tar", members)
    config = ShardsConfig(name="shards", urls=(str(path),))
    build(Files(config.urls), config.extensions, path.parent / NAME, 1)
    return path


def dataset(path: Path) -> Shards:
    return Shards(ShardsConfig(name="shards", urls=(str(path),)))


def emitted(path: Path) -> list[tuple[bytes, tuple[str, ...]]]:
    """Return all samples that are read before an error, and raise it at the end."""
    shards = dataset(path)
    return [(raw.image, raw.texts) for raw in map(shards.raw, range(len(shards)))]


def by_webdataset(path: Path) -> Iterator[dict[str, bytes]]:
    """Read as webdataset does, but for the opening of the file, which it leaves open."""
    tars = pytest.importorskip("webdataset.tariterators")
    with path.open("rb") as stream:
        yield from tars.group_by_keys(tars.tar_file_expander([{"url": str(path), "stream": stream}]))


def boundaries(path: Path) -> list[int]:
    with tarfile.open(path) as tar:
        return [member.offset for member in tar]


def cuts(path: Path, kind: str) -> list[int]:
    size, draw = path.stat().st_size, random.Random(0)
    return {
        "blocks": list(range(0, size, 512)),
        "members": boundaries(path),
        "random": [draw.randrange(size) for _ in range(400)],
    }[kind]


@pytest.mark.parametrize("kind", ["blocks", "members", "random"])
def test_a_cut_shard_is_found_before_a_sample_is_read(kind: str, shard: Path) -> None:
    whole, places = shard.read_bytes(), cuts(shard, kind)
    assert len(emitted(shard)) == SAMPLES  # before, it is whole
    found = silent = 0
    for place in places:
        shard.write_bytes(whole[:place])
        shards = dataset(shard)
        assert shard.stat().st_size < len(whole) and len(shards) == SAMPLES
        for index in (0, SAMPLES - 1):
            with pytest.raises(DataError, match=r"a\.tar has \d+ bytes, but had \d+ when it was indexed"):
                shards.raw(index)
        found += 1
        silent += is_silent(shard)
    print(f"cuts at {kind}: {found} of {len(places)} found; webdataset reads {silent} as if nothing were missing")
    assert found == len(places) >= 20
    # The control: of the same cuts webdataset reads some without an error, and has fewer or poorer samples.
    assert silent > len(places) // 20
    if kind == "members":
        assert silent >= len(places) - 1


def is_silent(path: Path) -> bool:
    """Say whether webdataset reads a cut shard to its end without an error, and has not all samples."""
    try:
        read = list(by_webdataset(path))
    except Exception:  # it passes on those of tarfile and others
        return False
    return len([sample for sample in read if "jpg" in sample and "txt" in sample]) < SAMPLES


@pytest.mark.parametrize("kind", ["blocks", "members"])
def test_without_an_index_a_cut_is_an_error_or_noted_and_no_sample_is_wrong(kind: str, shard: Path) -> None:
    whole, right = shard.read_bytes(), emitted(shard)
    places = [place for place in cuts(shard, kind) if place <= boundaries(shard)[-1] + 1024]  # the rest is padding
    (shard.parent / NAME).unlink()
    for place in places:
        shard.write_bytes(whole[:place])
        shards = dataset(shard)
        try:
            count = len(shards)
        except DataError:
            continue
        assert "without a tar's end mark, so maybe cut short" in shards.notes()[1]
        for index in range(count):
            try:
                raw = shards.raw(index)
            except BadSampleError:
                continue
            assert (raw.image, raw.texts) == right[index]


def test_a_shard_of_the_same_size_with_other_samples(shard: Path, make: Make) -> None:
    right = emitted(shard)
    size = shard.stat().st_size
    other = [(f"{number:03d}.jpg", noise(number)) for number in range(SAMPLES)][::-1]
    members = [member for pair in zip(other, texts(), strict=True) for member in pair]
    make("a.tar", [(name, data) for name, data in members])
    assert shard.stat().st_size == size and len(list(by_webdataset(shard))) >= SAMPLES
    shards, bad = dataset(shard), 0
    for index in range(SAMPLES):
        try:
            assert (shards.raw(index).image, shards.raw(index).texts) == right[index]
        except BadSampleError as error:
            assert f"a/{index:03d}: " in str(error) and "not those that were indexed" in str(error)
            bad += 1
    assert bad == SAMPLES


def texts() -> list[tuple[str, bytes]]:
    return [(f"{number:03d}.txt", f"caption {number}".encode()) for number in range(SAMPLES)]


def test_a_flipped_bit_in_a_picture(shard: Path) -> None:
    draw, found, silent = random.Random(1), 0, 0
    shards = dataset(shard)
    spans = [shards.catalog.rows.place(row).image for row in range(SAMPLES)]
    with shard.open("r+b") as file:
        for _ in range(200):
            index = draw.randrange(SAMPLES)
            place, bit = spans[index][0] + draw.randrange(spans[index][1]), 1 << draw.randrange(8)
            before = os.pread(file.fileno(), 1, place)[0]
            os.pwrite(file.fileno(), bytes([before ^ bit]), place)
            with pytest.raises(BadSampleError, match=f"a/{index:03d}: its bytes are not those that were indexed"):
                shards.raw(index)
            found += 1
            silent += decodes(os.pread(file.fileno(), spans[index][1], spans[index][0]))
            os.pwrite(file.fileno(), bytes([before]), place)
            assert shards.raw(index).key == f"a/{index:03d}"
    print(f"flipped bits: {found} of 200 found; Pillow decodes {silent} without an error")
    assert found == 200
    # The control: Pillow decodes most of them to other pixels, without an error.
    assert silent > 100


def decodes(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:  # Pillow has many kinds
        return False
    return True


def test_a_caption_that_changed(shard: Path) -> None:
    offset, size = dataset(shard).catalog.rows.place(3).caption
    with shard.open("r+b") as file:
        os.pwrite(file.fileno(), b"k", offset + size - 1)
    with pytest.raises(BadSampleError, match="a/003: its bytes are not those"):
        dataset(shard).raw(3)
    assert list(by_webdataset(shard))[3]["txt"] == b"caption k"
