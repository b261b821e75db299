"""Stored evaluations come back as they were; broken ones are named."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from mmx.errors import CheckpointError
from mmx.evaluate.results import evaluator_name, read_results, write_result
from mmx.parts.evaluator import Guess, Number, Picture, Record, Result, Table

PNG = b"\x89PNG\r\n\x1a\nnot really"


def example() -> Result:
    picture = Picture("fluent/0001", PNG, "<b>cat</b>", (Guess("dog", 0.5), Guess("cat", 0.25)), 2)
    return Result(
        headline="top1",
        numbers={"top1": Number(0.25, 0.2, 0.3, 0.01, 100, "right at once"), "odd": Number(math.inf)},
        tables={
            "per_class": Table(
                ("name", "count", "top1", "seen"), (("cat", 3, 0.5, True), ("dog", None, 1.0, False)), "by name"
            )
        },
        pictures={"nearest_wrong": (picture,)},
    )


def same(left: Result, right: Result) -> bool:
    return (left.headline, left.numbers) == (right.headline, right.numbers) and [
        *left.tables.items(),
        *left.pictures.items(),
    ] == [*right.tables.items(), *right.pictures.items()]


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


def measured(version: str, **about: object) -> Result:
    record = Record("0123abcd", {"name": "zeroshot"}, {"samples": 3}, about, {"mmx": version})
    return replace(example(), record=record, outcomes=Table(("sample", "rank"), [("a,b", 2), ("c", None)]))


def test_what_differs_is_kept_beside_and_what_is_alike_is_replaced(tmp_path: Path) -> None:
    first = write_result(tmp_path, "zero_shot", measured("1", names=["cat"]))
    assert write_result(tmp_path, "zero_shot", measured("1", names=["cat"])) == first
    names, newer = (write_result(tmp_path, "zero_shot", one) for one in (measured("1", names=["dog"]), measured("2")))
    assert len({first, names, newer}) == 3 == len(list(tmp_path.glob("*.json")))
    assert {evaluator_name(path) for path in (first, names, newer)} == {"zero_shot"}
    found = read_results(tmp_path)
    assert found["zero_shot"].record == measured("1", names=["cat"]).record
    assert found[names.stem].about == {"names": ["dog"]}


def test_outcomes_are_a_csv_file_beside_it(tmp_path: Path) -> None:
    path = write_result(tmp_path, "zero_shot", measured("1"))
    assert (tmp_path / json.loads(path.read_text())["outcomes"]).read_text() == 'sample,rank\n"a,b",2\nc,\n'


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
