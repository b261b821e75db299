"""Samples of one modality, with several pictures, captions with roles, and facts, from tables and folders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.config_folder import FolderConfig
from mmx_pairs.config_rows import TableConfig
from mmx_pairs.folder import Folder
from mmx_pairs.table import Table

Write = Callable[[Mapping[str, bytes | str]], Path]
Picture = Callable[[int], bytes]


def table(url: Path, **options: Any) -> Table:
    return Table(TableConfig.model_validate({"name": "table", "urls": [str(url)], **options}))


def folder(path: Path, **options: Any) -> Folder:
    return Folder(FolderConfig.model_validate({"name": "folder", "folder": str(path), **options}))


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", "caption,n\none,1\n,2\nthree,3\n"), ("t.jsonl", '{"text": "one"}\n{"text": null}\n{"text": "three"}\n')],
)
def test_a_table_of_captions_alone(name: str, content: str, write: Write) -> None:
    dataset = table(write({name: content}) / name, samples="texts")
    assert dataset.read(0).texts == ("one",) and dataset.read(0).image is None and dataset.raw(0).image == b""
    with pytest.raises(BadSampleError, match="caption"):
        dataset.read(1)
    with pytest.raises(DataError, match="which column holds the pictures is not clear"):
        len(table(write({name: content}) / name))


def test_a_table_of_pictures_alone(write: Write, picture: Picture) -> None:
    path = write({"0.png": picture(0), "t.csv": "path,n\n0.png,1\n1.png,2\n"})
    dataset = table(path / "t.csv", samples="images")
    sample = dataset.read(0)
    assert sample.image is not None and sample.texts == () and "group" not in sample.facts
    with pytest.raises(BadSampleError):
        dataset.read(1)


def test_a_folder_of_pictures_or_of_captions_alone(write: Write, picture: Picture) -> None:
    path = write({"a.png": picture(0), "b.txt": "words", "c.png": picture(1), "c.txt": "both"})
    images, texts = folder(path, samples="images"), folder(path, samples="texts")
    assert [images.key(index) for index in range(len(images))] == ["a", "c"]
    assert [texts.read(index).texts for index in range(len(texts))] == [("words",), ("both",)]
    assert images.read(1).texts == () and texts.read(1).image is None
    with pytest.raises(DataError, match=r'no sample has a picture and a caption.*samples = "images" or "texts"'):
        len(folder(write({"only/a.png": picture(0)}) / "only"))


def test_captions_of_pairs_are_read_without_their_pictures(write: Write) -> None:
    dataset = folder(write({"a.png": b"not a picture", "a.txt": "words"}))
    assert dataset.read_texts(0).texts == ("words",)
    with pytest.raises(BadSampleError):
        dataset.read(0)


def test_a_row_has_several_pictures_captions_with_roles_and_facts(write: Write, picture: Picture) -> None:
    row = (
        '{"left": "0.png", "right": "1.png", "q": "same?", "a": ["no", "not"], "y": 1, "s": 2, "v": [1, 0.5], "n": 7}\n'
    )
    path = write({"0.png": picture(0), "1.png": picture(1), "t.jsonl": row + row.replace('"y": 1', '"y": 0.5')})
    dataset = table(
        path / "t.jsonl",
        image="left",
        more_images=["right"],
        roles={"question": "q", "answer": "a"},
        facts={"y": "int", "s": "float", "v": "vector"},
    )
    sample = dataset.read(0)
    assert dataset.raw(0).more == (picture(1),) and len(sample.more) == 1 and sample.texts == ()
    assert sample.roles == {"question": ("same?",), "answer": ("no", "not")}
    assert sample.facts == {"y": 1, "s": 2.0, "v": (1.0, 0.5)} and type(sample.facts["s"]) is float
    assert dataset.columns(["n"])["n"].tolist() == [7, 7]
    with pytest.raises(BadSampleError, match=r"the fact 'y' is not a whole number of 64 bits, but '0\.5'"):
        dataset.read(1)


@pytest.mark.parametrize(
    ("options", "option"),
    [({"more_images": ["x"]}, "more_images"), ({"roles": {"q": "x"}}, "roles.q"), ({"facts": {"x": "int"}}, "facts")],
)
def test_a_column_that_is_not_there_is_named_by_its_option(options: dict[str, Any], option: str, write: Write) -> None:
    path = write({"t.csv": "path,caption\n0.png,one\n"}) / "t.csv"
    with pytest.raises(DataError, match=f"has no column 'x', which {option} names"):
        len(table(path, **options))
