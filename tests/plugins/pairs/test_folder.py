"""Pictures with captions beside them, and every way in which a folder can be wrong."""

import os
import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pydantic import ValidationError

from mmx.config import RemoteTable
from mmx.errors import DataError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.config_folder import FolderConfig
from mmx_pairs.folder import Folder
from mmx_storage.failures import UnavailableError

Write = Callable[[Mapping[str, bytes | str]], Path]
Picture = Callable[[int], bytes]


def folder(path: Path | str, **options: Any) -> Folder:
    return Folder(FolderConfig.model_validate({"name": "folder", "folder": str(path), **options}))


def keys(dataset: Folder) -> list[str]:
    return [dataset.key(index) for index in range(len(dataset))]


def refusal(dataset: Folder, key: str) -> str:
    with pytest.raises(BadSampleError) as caught:
        dataset.read(keys(dataset).index(key))
    return str(caught.value)


def test_pairs_come_sorted_by_path_whatever_the_case_of_extensions(write: Write, picture: Picture) -> None:
    path = write(
        {
            "b/2.JPG": picture(2),
            "b/2.txt": "two",
            "a.b.png": picture(1),
            "a.b.TXT": " one\nline ",
            "b/c/3.webp": picture(3),
            "b/c/3.txt": "three",
            ".hidden/x.png": picture(9),
            "notes.md": "not of a sample",
        }
    )
    dataset = folder(path)
    assert keys(dataset) == ["a.b", "b/2", "b/c/3"]
    assert [dataset.read(index).texts for index in range(3)] == [("one\nline",), ("two",), ("three",)]
    assert dataset.raw(1).image == picture(2)
    again = pickle.loads(pickle.dumps(dataset))
    assert keys(again) == keys(dataset) and again.read(2).texts == ("three",)
    assert list(dataset.runs()) == [3]


def test_each_line_can_be_a_caption(write: Write, picture: Picture) -> None:
    path = write({"1.png": picture(1), "1.txt": "a cat\r\n\n a pet \u2028 here\n"})
    assert folder(path).read(0).texts == ("a cat\r\n\n a pet \u2028 here",)
    assert folder(path, lines=True).read(0).texts == ("a cat", "a pet \u2028 here")


def test_captions_and_numbers_in_json(write: Write, picture: Picture) -> None:
    path = write(
        {
            "1.png": picture(1),
            "1.json": '{"caption": ["a cat", "a pet"], "score": 0.5, "status": "success"}',
            "1.txt": "from the text",
            "2.png": picture(2),
            "2.json": "{",
            "2.txt": "good",
        }
    )
    dataset = folder(path, caption="json:caption")
    assert dataset.read(0).texts == ("a cat", "a pet")
    assert refusal(dataset, "2").startswith("2: the caption is not JSON")
    beside = folder(path)
    assert beside.read(0).texts == ("from the text",)
    assert beside.read(1).texts == ("good",), "as in a tar: damaged JSON has no fields"
    assert beside.columns(["score", "width"])["score"].tolist()[0] == 0.5


def test_what_lacks_a_half_is_bad_by_name(write: Write, picture: Picture) -> None:
    dataset = folder(
        write({"1.png": picture(1), "1.txt": "one", "2.png": picture(2), "3.txt": "three", "4.json": "{}"})
    )
    assert keys(dataset) == ["1", "2", "3"]
    assert refusal(dataset, "2") == "2: has no caption (.txt)"
    assert refusal(dataset, "3") == "3: has no picture (.jpg .jpeg .png .webp .gif)"


def test_two_pictures_of_one_sample(write: Write, picture: Picture) -> None:
    dataset = folder(write({"1.png": picture(1), "1.jpg": picture(2), "1.txt": "one"}))
    with pytest.raises(DataError, match=r"1\.png is a second picture of one sample \(the other ends in \.jpg\)"):
        len(dataset)


def test_a_folder_without_a_pair_says_what_it_has(write: Write, picture: Picture) -> None:
    with pytest.raises(DataError, match=r"found extensions: \.json \(1\) \.png \(1\); wanted one of .* and \.txt"):
        len(folder(write({"1.json": "{}", "1.png": picture(1)})))
    (missing := write({}) / "gone").parent.mkdir(exist_ok=True)
    with pytest.raises(DataError, match="cannot be listed: No such file"):
        len(folder(missing))
    assert "gone is no folder" in FolderConfig(name="folder", folder=str(missing)).absent()
    assert "(looked in" in FolderConfig(name="folder", folder="no/such").absent()


def test_links_that_lead_out_are_refused_by_name(write: Write, picture: Picture, tmp_path: Path) -> None:
    path = write({"1.png": picture(1), "1.txt": "one", "2.txt": "two", "3.png": picture(3), "in/4.txt": "four"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(picture(9))
    (outside / "secret.txt").write_text("secret")
    (path / "2.png").symlink_to(outside / "secret.png")
    (path / "3.txt").symlink_to(outside / "secret.txt")
    (path / "in" / "4.png").symlink_to("../1.png")
    (path / "linked").symlink_to(outside)
    (path / "nothing.png").symlink_to("gone")
    (path / "nothing.txt").write_text("nothing")
    dataset = folder(path)
    assert (path / "2.png").read_bytes() == picture(9), "a reader that opens what is there leaves the folder"
    assert keys(dataset) == ["1", "2", "3", "in/4", "linked", "nothing"]
    assert "the picture 2.png is a link that leads out of the folder" in refusal(dataset, "2")
    assert "the caption 3.txt is a link that leads out of the folder" in refusal(dataset, "3")
    assert "leads out of the folder" in refusal(dataset, "linked")
    assert "nothing.png is a link to nothing" in refusal(dataset, "nothing")
    assert dataset.raw(keys(dataset).index("in/4")).image == picture(1)


def test_a_file_that_becomes_a_link_is_refused_too(write: Write, picture: Picture, tmp_path: Path) -> None:
    path = write({"1.png": picture(1), "1.txt": "one"})
    (secret := tmp_path / "secret.png").write_bytes(picture(9))
    dataset = folder(path)
    assert dataset.raw(0).image == picture(1)
    (path / "1.png").unlink()
    (path / "1.png").symlink_to(secret)
    assert "leads out of the folder" in refusal(dataset, "1")


@pytest.mark.timeout(10)
def test_loops_and_pipes_do_not_hang(write: Write, picture: Picture) -> None:
    path = write({"a/1.png": picture(1), "a/1.txt": "one", "a/2.txt": "two"})
    (path / "a" / "up").symlink_to("..")
    (path / "itself").symlink_to("itself")
    os.mkfifo(path / "a" / "2.png")
    followed = sum(1 for _ in zip(os.walk(path, followlinks=True), range(30), strict=False))
    assert followed >= 30, "a walk that follows links goes round"
    dataset = folder(path)
    assert keys(dataset) == ["a/1", "a/2"]
    assert refusal(dataset, "a/2") == "a/2: the picture a/2.png is no regular file"


def test_names_that_are_no_utf_8(write: Write, picture: Picture) -> None:
    path = write({"1.png": picture(1), "1.txt": "one"})
    for extension, data in ((b".png", picture(2)), (b".txt", b"two")):
        with open(os.fsencode(path) + b"/\xff" + extension, "wb") as file:
            file.write(data)
    dataset = folder(path)
    assert keys(dataset) == ["1", "\\udcff"]
    assert dataset.read(1).texts == ("two",)


def test_a_folder_that_goes_away_is_an_error_of_the_data(write: Write, picture: Picture, tmp_path: Path) -> None:
    path = write({"1.png": picture(1), "1.txt": "one", "2.png": picture(2), "2.txt": "two"})
    dataset = folder(path)
    (path / "2.png").unlink() if len(dataset) else None
    assert "2.png does not exist" in refusal(dataset, "2")
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is gone"):
        dataset.read(0)


@pytest.mark.timeout(10)
def test_a_store_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, end = threading.Event(), threading.Event()

    def find(self: Any, path: str) -> list[str]:
        asked.set()
        end.wait()
        return []

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "find", find)
    try:
        with pytest.raises(DataError, match=r"folder memory://pairs cannot be listed in 0\.2 s: .* raise .*patience"):
            len(folder("memory://pairs", remote={"patience": 0.2}))
        assert asked.is_set()
    finally:
        end.set()


def test_a_folder_at_a_url(picture: Picture) -> None:
    system = fsspec.filesystem("memory")
    system.pipe(
        {"/pairs/b/2.png": picture(2), "/pairs/b/2.txt": b"two", "/pairs/1.png": picture(1), "/pairs/1.txt": b"one"}
    )
    try:
        dataset = folder("memory://pairs")
        assert keys(dataset) == ["1", "b/2"]
        assert dataset.read(1).texts == ("two",)
        assert dataset.raw(0).image == picture(1)
        system.rm("/pairs/b/2.png")
        assert "the picture cannot be had" in refusal(dataset, "b/2")
    finally:
        system.rm("/pairs", recursive=True)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"folder": "https://host/pairs?token=secret@"}, "'https://host/pairs': folders at http cannot be listed"),
        ({"folder": "https://me:secret@host/pairs"}, "'https://host/pairs' has a password in it"),
        ({"folder": "pipe:ls"}, "cannot be read"),
        ({"folder": "{a,b}"}, "is one folder"),
        ({"folder": "a", "lines": True, "caption": "json:x"}, "lines = true goes with caption"),
        ({"folder": "a", "caption": "jpg"}, "pattern"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as caught:
        FolderConfig.model_validate({"name": "folder", **options})
    assert "secret@" not in caught.value.errors()[0]["msg"]


def test_a_folder_of_pictures_is_recognised(write: Write, picture: Picture, tmp_path: Path) -> None:
    path = write({"deep/1.PNG": picture(1)})
    assert FolderConfig.at("folder", str(path)) is not None
    assert FolderConfig.at("folder", str(path / "deep")) is not None
    (tars := tmp_path / "tars").mkdir()
    (tars / "0.tar").write_bytes(b"")
    assert FolderConfig.at("folder", str(tars)) is None
    assert FolderConfig.at("folder", str(path / "deep" / "1.PNG")) is None


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://bucket/photos", True),
        ("s3://bucket/photos/", True),
        ("memory://photos", True),
        ("s3://bucket/photos.parquet", False),
        ("s3://bucket/{a,b}", False),
        ("s3://", False),
        ("https://host/photos", False),
    ],
)
def test_a_folder_at_a_url_is_recognised_by_its_name(url: str, found: bool) -> None:
    assert (FolderConfig.at("folder", url) is not None) == found


def test_a_folder_has_no_option_for_dead_links_and_does_not_speak_of_it(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(url: str, remote: RemoteTable, skip: bool) -> bytes:
        raise UnavailableError(f"{url} cannot be read")

    fsspec.filesystem("memory").pipe({"/away/1.png": picture(1), "/away/1.txt": b"one"})
    dataset = folder("memory://away")
    assert len(dataset) == 1
    monkeypatch.setattr("mmx_pairs.ahead._get", fail)
    with pytest.raises(UnavailableError, match=r"away/1\.txt cannot be read$"):
        dataset.read(0)
