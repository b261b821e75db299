"""Shards that webdataset and img2dataset write are read to the same samples that webdataset reads."""

import gc
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
from mmx_shards.format.build import build
from mmx_shards.format.index import NAME
from mmx_storage.files import Files

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
Read = dict[str, tuple[bytes, tuple[str, ...], dict[str, Any]]]
"""Picture, captions and fields by key."""


def picture(number: int, format: str) -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").resize((20 + number, 10)).convert("RGB").save(data, format)
    return data.getvalue()


def ours(*paths: Path, index: bool, caption: str = "txt") -> Read:
    config = ShardsConfig(name="shards", urls=tuple(map(str, paths)), caption=caption)
    place = paths[0].parent / NAME
    place.unlink(missing_ok=True)
    if index:
        build(Files(config.urls), config.extensions, place, 1)
    dataset = Shards(config)
    assert (dataset.catalog.index is not None) == index
    found: Read = {}
    for number in range(len(dataset)):
        raw = dataset.raw(number)
        found[raw.key.partition("/")[2]] = (raw.image, raw.texts, dict(raw.fields))
    assert len(found) == len(dataset)
    return found


def theirs(*paths: Path, caption: str = "txt") -> Read:
    """Read with webdataset, not decoded; members of a key that stand apart come as several samples, which are joined."""
    found: dict[str, dict[str, bytes]] = {}
    for sample in samples(*paths):
        found.setdefault(cast(str, sample["__key__"]), {}).update(sample)
    read: Read = {}
    for key, sample in found.items():
        (extension,) = {"jpg", "jpeg", "png", "webp", "gif"} & set(sample)
        fields = json.loads(sample["json"]) if "json" in sample else {}
        kind, _, field = caption.partition(":")
        texts = fields[field] if field else sample[kind].decode().strip()
        read[key] = (sample[extension], tuple([texts] if isinstance(texts, str) else texts), fields)
    return read


def samples(*paths: Path) -> Iterator[dict[str, Any]]:
    webdataset = pytest.importorskip("webdataset")
    yield from webdataset.WebDataset([str(path) for path in paths], shardshuffle=False)
    gc.collect()  # it leaves its files open


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    """Return two shards that webdataset wrote, of several formats, with folders in keys and dots in names."""
    webdataset = pytest.importorskip("webdataset")
    formats = [("jpg", "JPEG"), ("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("gif", "GIF"), ("JPG", "JPEG")]
    paths = [tmp_path / f"{shard:06d}.tar" for shard in range(2)]
    for shard, path in enumerate(paths):
        with webdataset.TarWriter(str(path)) as writer:
            for number, (extension, format) in enumerate(formats):
                key = f"{'folder/deep.er/' * (number % 2)}{shard}-{number:04d}"
                fields = {"similarity": number / 8, "words": ["a", f"b{number}"]}
                writer.write(
                    {
                        "__key__": key,
                        extension: picture(number, format),
                        "txt": f"caption {number} ü",
                        "json": json.dumps(fields).encode(),
                        "seg.png": picture(0, "PNG"),
                        "cls": b"3",
                    }
                )
    return paths


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("caption", ["txt", "json:words"])
def test_what_webdataset_writes(index: bool, caption: str, written: list[Path]) -> None:
    found = ours(*written, index=index, caption=caption)
    assert found == theirs(*written, caption=caption) and len(found) == 12


ORDERS: dict[str, Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]] = {
    "text first": lambda members: members[::-1],
    "all pictures, then all texts": lambda members: sorted(members, key=lambda member: member[0][-3:]),
    "interleaved": lambda members: members[::2] + members[1::2],
    "upper case": lambda members: [(name[:-3] + name[-3:].upper(), data) for name, data in members],
    "folders": lambda members: [(f"./x/{name}", data) for name, data in members],
    "further dots": lambda members: (
        [(name, data) for name, data in members if name[-3:] != "txt"]
        + [(f"{number}.b.jpg", b"no picture of ours") for number in range(4)]
        + [(name, data) for name, data in members if name[-3:] == "txt"]
    ),
    "members of its own": lambda members: [("__meta__", b"x"), ("__a__/b.txt", b"x"), *members],
}


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_any_order_of_members(
    index: bool, order: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]], tmp_path: Path
) -> None:
    members: list[tuple[str, bytes]] = []
    for number in range(4):
        members += [(f"{number}.jpg", picture(number, "JPEG")), (f"{number}.txt", f"text {number}".encode())]
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in order(members):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    found = ours(tmp_path / "a.tar", index=index)
    assert found == theirs(tmp_path / "a.tar") and len(found) == 4
    assert sorted(text for _, (text,), _ in found.values()) == [f"text {number}" for number in range(4)]


def test_what_we_read_was_not_always_so_for_webdataset(tmp_path: Path) -> None:
    """Members of a key that stand apart are one sample for us; webdataset makes halves of them, and says nothing."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("0.jpg", "1.jpg", "0.txt", "1.txt"):
            data = picture(0, "JPEG") if name.endswith("jpg") else name.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert len(list(samples(tmp_path / "a.tar"))) == 4
    assert len(ours(tmp_path / "a.tar", index=True)) == 2


@pytest.mark.parametrize("index", [True, False])
def test_what_img2dataset_writes(index: bool, tmp_path: Path) -> None:
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard:05d}.tar", "w") as tar:
            for number in range(3):
                key = f"{shard:05d}{number:04d}"
                facts = {
                    "caption": f"a caption {number}",
                    "url": "https://example.org/x.jpg",
                    "similarity": 0.3 + number / 100,
                    "key": key,
                    "status": "success",
                    "error_message": None,
                    "width": 20 + number,
                    "height": 10,
                    "original_width": 640,
                    "original_height": 480,
                    "exif": "{}",
                    "sha256": "0" * 64,
                }
                for name, data in (
                    (f"{key}.jpg", picture(number, "JPEG")),
                    (f"{key}.json", json.dumps(facts, indent=4).encode()),
                    (f"{key}.txt", str(facts["caption"]).encode()),
                ):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        (tmp_path / f"{shard:05d}_stats.json").write_text(json.dumps({"count": 3, "successes": 3}))
        (tmp_path / f"{shard:05d}.parquet").write_bytes(b"PAR1")
    config = ShardsConfig.at("shards", str(tmp_path))
    assert config is not None and config.urls == (str(tmp_path / "00000.tar"), str(tmp_path / "00001.tar"))
    paths = [Path(url) for url in config.urls]
    found = ours(*paths, index=index)
    assert found == theirs(*paths)
    assert ours(*paths, index=index, caption="json:caption") == found == ours(*paths, index=index)
    dataset = Shards(config)
    assert dataset.key(5) == "00001/000010002"
    columns = dataset.columns(["similarity", "original_width", "width"])
    assert columns["similarity"].tolist() == [0.3, 0.31, 0.32] * 2
    assert columns["original_width"].tolist() == [640] * 6 and columns["width"].tolist() == [20, 21, 22] * 2
