"""The dataset against a folder written by hand."""

from pathlib import Path

import pytest
from PIL import Image

from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx_scaffold.templates.dataset.config import ThisPartConfig
from mmx_scaffold.templates.dataset.dataset import ThisPart


def dataset(folder: Path) -> ThisPart:
    return ThisPart(ThisPartConfig(name="part", folder=folder))


def add(folder: Path, key: str, text: str | None) -> None:
    path = folder / f"{key}.png"
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (4, 3), "red").save(path)
    if text is not None:
        path.with_suffix(".txt").write_text(text, encoding="utf-8")


def test_samples(tmp_path: Path) -> None:
    add(tmp_path, "dog", "a dog\n")
    add(tmp_path, "more/cat", "a cat\n\n  the same cat \n")
    add(tmp_path, "more/tom", "a cat")
    found = dataset(tmp_path)
    assert [found.key(index) for index in range(len(found))] == ["dog.png", "more/cat.png", "more/tom.png"]
    dog, cat, tom = (found.read(index) for index in range(3))
    assert cat.texts == ("a cat", "the same cat") and cat.image is not None
    assert cat.image.size == (4, 3) and cat.image.getpixel((0, 0)) == (255, 0, 0)
    assert cat.facts["group"] == tom.facts["group"] != dog.facts["group"]


@pytest.mark.parametrize(("text", "reason"), [(None, "No such file"), (" \n", "has no caption")])
def test_a_bad_sample_is_named(tmp_path: Path, text: str | None, reason: str) -> None:
    add(tmp_path, "dog", text)
    with pytest.raises(BadSampleError, match=f"dog.png: .*{reason}"):
        dataset(tmp_path).read(0)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no file that ends in"):
        dataset(tmp_path)
    assert "no folder" in ThisPartConfig(name="part", folder=tmp_path / "gone").absent()
