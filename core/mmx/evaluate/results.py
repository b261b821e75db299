"""Evaluations on disk: one JSON file for each evaluator, its pictures as PNG files beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, ValidationError

from mmx.errors import CheckpointError
from mmx.parts.evaluator import Guess, Number, Picture, Result


class _Picture(BaseModel):
    key: str
    file: str
    truth: str
    guesses: tuple[Guess, ...]
    rank: int


class _Result(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")

    headline: str
    numbers: dict[str, Number]
    tables: dict[str, list[dict[str, str | int | float]]]
    pictures: dict[str, list[_Picture]]


def write_result(folder: Path, name: str, result: Result) -> Path:
    """Write what one evaluator found, the pictures first, the JSON file last and at once.

    Args:
        folder: the folder of one evaluation, such as ``evaluations/step-00000500``; made if it is not there.
        name: the evaluator's name in the recipe.
        result: what it found.

    Returns:
        The JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = quote(name, safe="")
    stored = _Result(
        headline=result.headline,
        numbers=dict(result.numbers),
        tables={table: [dict(row) for row in rows] for table, rows in result.tables.items()},
        pictures={
            grid: [
                _store(folder, f"{stem}.{quote(grid, safe='')}.{index:03}.png", picture)
                for index, picture in enumerate(row)
            ]
            for grid, row in result.pictures.items()
        },
    )
    path, part = folder / f"{stem}.json", folder / f"{stem}.json.part"
    part.write_text(stored.model_dump_json(indent=1), encoding="utf-8")
    os.replace(part, path)
    return path


def _store(folder: Path, file: str, picture: Picture) -> _Picture:
    (folder / file).write_bytes(picture.png)
    return _Picture(key=picture.key, file=file, truth=picture.truth, guesses=picture.guesses, rank=picture.rank)


def read_result(path: Path) -> Result:
    """Read the JSON file of one evaluator and its pictures.

    Raises:
        CheckpointError: a file is missing, cut short or not of this form, or a picture lies outside the folder.
    """
    try:
        stored = _Result.model_validate_json(path.read_bytes())
        pictures = {grid: _load(path.parent, row) for grid, row in stored.pictures.items()}
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(map(str, found["loc"])) or "the file"
        raise CheckpointError(
            f"{path} is not a stored evaluation ({where}: {found['msg']}); run mmx eval again"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read {error.filename}: {error.strerror}; run mmx eval again") from error
    return Result(stored.headline, stored.numbers, stored.tables, pictures)


def _load(folder: Path, row: Sequence[_Picture]) -> tuple[Picture, ...]:
    for picture in row:
        if Path(picture.file).name != picture.file:
            raise CheckpointError(
                f"{folder}: the picture '{picture.file}' is not a file of this folder; run mmx eval again"
            )
    return tuple(
        Picture(item.key, (folder / item.file).read_bytes(), item.truth, item.guesses, item.rank) for item in row
    )


def read_results(folder: Path) -> dict[str, Result]:
    """Read all evaluators' results of one evaluation, by name; empty if the folder has none.

    Raises:
        CheckpointError: as :func:`read_result`.
    """
    return {evaluator_name(path): read_result(path) for path in sorted(folder.glob("*.json"))}


def evaluator_name(path: Path) -> str:
    """Return the name of the evaluator that a stored result belongs to."""
    return unquote(path.name.removesuffix(".json"))
