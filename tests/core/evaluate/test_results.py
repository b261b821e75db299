"""Stored evaluations come back as they were; broken ones are named."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mmx.errors import CheckpointError
from mmx.evaluate.results import read_results, write_result
from mmx.parts.evaluator import Guess, Number, Picture, Result

PNG = b"\x89PNG\r\n\x1a\nnot really"


def example() -> Result:
    picture = Picture("fluent/0001", PNG, "<b>cat</b>", (Guess("dog", 0.5), Guess("cat", 0.25)), 2)
    return Result(
        headline="top1",
        numbers={"top1": Number(0.25, 0.2, 0.3, 0.01, 100, "right at once"), "odd": Number(math.inf)},
        tables={"per_class": ({"name": "cat", "count": 3, "top1": 0.5},)},
        pictures={"nearest_wrong": (picture,)},
    )


def same(left: Result, right: Result) -> bool:
    return (left.headline, left.numbers) == (right.headline, right.numbers) and [
        (key, list(rows)) for key, rows in [*left.tables.items(), *left.pictures.items()]
    ] == [(key, list(rows)) for key, rows in [*right.tables.items(), *right.pictures.items()]]


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    write_result(tmp_path / "step-00000500", "zero_shot", example())
    found = read_results(tmp_path / "step-00000500")
    assert list(found) == ["zero_shot"]
    assert same(found["zero_shot"], example())


def test_pictures_are_png_files_named_in_valid_json(tmp_path: Path) -> None:
    path = write_result(tmp_path, "zero_shot", example())

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    stored = json.loads(path.read_text(), parse_constant=refuse)
    file = stored["pictures"]["nearest_wrong"][0]["file"]
    assert (tmp_path / file).read_bytes() == PNG


def test_a_name_with_odd_letters_stays_in_its_folder(tmp_path: Path) -> None:
    write_result(tmp_path / "inner", "../a b/é", example())
    assert list(read_results(tmp_path / "inner")) == ["../a b/é"]
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


def test_nothing_unfinished_is_left_or_read(tmp_path: Path) -> None:
    write_result(tmp_path, "zero_shot", example())
    (tmp_path / "other.json.part").write_text("{")
    assert list(read_results(tmp_path)) == ["zero_shot"]
    assert read_results(tmp_path / "none") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"headline": "top1"}'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "zero_shot.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"zero_shot\.json is not a stored evaluation"):
        read_results(tmp_path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    write_result(tmp_path, "zero_shot", example())
    next(tmp_path.glob("*.png")).unlink()
    with pytest.raises(CheckpointError, match=r"nearest_wrong\.000\.png"):
        read_results(tmp_path)


@pytest.mark.parametrize("file", ["../secret.png", "/etc/passwd", "sub/x.png", ".."])
def test_a_picture_outside_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    path = write_result(tmp_path, "zero_shot", example())
    stored = json.loads(path.read_text())
    stored["pictures"]["nearest_wrong"][0]["file"] = file
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError):
        read_results(tmp_path)
