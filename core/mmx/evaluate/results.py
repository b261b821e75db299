"""Evaluations on disk: one JSON file for each evaluator, its pictures as PNG files and its outcomes as CSV beside it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from mmx.errors import CheckpointError
from mmx.parts.evaluator import Guess, Number, Picture, Record, Result, Table


class _Picture(BaseModel):
    key: str
    file: str
    truth: str
    guesses: tuple[Guess, ...]
    rank: int | None
    caption: str = ""


class _Table(BaseModel):
    columns: tuple[str, ...]
    rows: tuple[tuple[str | bool | int | float | None, ...], ...]
    caption: str = ""


class _Result(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")

    headline: str
    numbers: dict[str, Number]
    tables: dict[str, _Table]
    pictures: dict[str, list[_Picture]]
    outcomes: str = ""
    """The file of the outcomes."""
    record: Record | None = None


def write_result(folder: Path, name: str, result: Result) -> Path:
    """Write what one evaluator found, the pictures first, the JSON file last and at once.

    What is there of the same evaluator is replaced if it measured the same under the same versions. If not, both are
    kept: this one's files are then named ``NAME@ID``.

    Args:
        folder: the folder of one evaluation, such as ``evaluations/step-00000500``; made if it is not there.
        name: the evaluator's name in the recipe.
        result: what it found.

    Returns:
        The JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = _stem(folder, name, result.record)
    outcomes = "" if result.outcomes is None else f"{stem}.outcomes.csv"
    if result.outcomes is not None:
        _replace(folder / outcomes, _csv(result.outcomes))
    stored = _Result(
        headline=result.headline,
        numbers=dict(result.numbers),
        tables={
            title: _Table(columns=tuple(t.columns), rows=tuple(map(tuple, t.rows)), caption=t.caption)
            for title, t in result.tables.items()
        },
        pictures={
            grid: [
                _store(folder, f"{stem}.{quote(grid, safe='')}.{index:03}.png", picture)
                for index, picture in enumerate(row)
            ]
            for grid, row in result.pictures.items()
        },
        outcomes=outcomes,
        record=result.record,
    )
    path = folder / f"{stem}.json"
    _replace(path, stored.model_dump_json(indent=1))
    return path


def _stem(folder: Path, name: str, record: Record | None) -> str:
    """Return the name of the files: the plain one where it is free, or is that of the same evaluation."""
    plain = quote(name, safe="")
    path = folder / f"{plain}.json"
    if not path.exists() or record is None:
        return plain
    try:
        there = _read(path).record
    except CheckpointError:
        there = None
    return plain if there is not None and _short(there) == _short(record) else f"{plain}@{_short(record)}"


def _short(record: Record) -> str:
    """Return a few letters that tell a whole record from others, its versions too."""
    return hashlib.sha256(json.dumps(asdict(record), sort_keys=True).encode()).hexdigest()[:8]


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    os.replace(part, path)


def _csv(table: Table) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([table.columns, *table.rows])
    return text.getvalue()


def _store(folder: Path, file: str, picture: Picture) -> _Picture:
    (folder / file).write_bytes(picture.png)
    return _Picture(
        key=picture.key,
        file=file,
        truth=picture.truth,
        guesses=picture.guesses,
        rank=picture.rank,
        caption=picture.caption,
    )


def read_result(path: Path) -> Result:
    """Read the JSON file of one evaluator and its pictures; the outcomes stay in their file.

    Raises:
        CheckpointError: a file is missing, cut short or not of this form, or a picture lies outside the folder.
    """
    stored = _read(path)
    try:
        pictures = {grid: _load(path.parent, row) for grid, row in stored.pictures.items()}
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read {error.filename}: {error.strerror}; run mmx eval again") from error
    tables = {title: Table(table.columns, table.rows, table.caption) for title, table in stored.tables.items()}
    about = {} if stored.record is None else stored.record.about
    return Result(stored.headline, stored.numbers, tables, pictures, about=about, record=stored.record)


def _read(path: Path) -> _Result:
    try:
        return _Result.model_validate_json(path.read_bytes())
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"])) or "the file"
        raise CheckpointError(
            f"{path} is not a stored evaluation ({where}: {found['msg']}); run mmx eval again"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read {error.filename}: {error.strerror}; run mmx eval again") from error


def _load(folder: Path, row: Sequence[_Picture]) -> tuple[Picture, ...]:
    for picture in row:
        if Path(picture.file).name != picture.file:
            raise CheckpointError(
                f"{folder}: the picture '{picture.file}' is not a file of this folder; run mmx eval again"
            )
    return tuple(
        Picture(item.key, (folder / item.file).read_bytes(), item.truth, item.guesses, item.rank, item.caption)
        for item in row
    )


def read_results(folder: Path) -> dict[str, Result]:
    """Read all results of one evaluation, by the evaluator's name; empty if the folder has none.

    Where an evaluator measured several things, each further one has its files' ``@ID`` behind the name.

    Raises:
        CheckpointError: as :func:`read_result`.
    """
    return {unquote(path.name.removesuffix(".json")): read_result(path) for path in sorted(folder.glob("*.json"))}


def evaluator_name(path: Path) -> str:
    """Return the name of the evaluator that a stored result belongs to."""
    return unquote(path.name.removesuffix(".json").partition("@")[0])
