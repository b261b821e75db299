"""Reads a run folder for the report. Whatever is missing or broken is noted and left out, never fatal."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from pydantic import TypeAdapter, ValidationError

from mmx.errors import CheckpointError
from mmx.evaluate.results import evaluator_name, read_result
from mmx.parts.evaluator import Number, Result
from mmx.wording import counted

type_of_numbers: Final = TypeAdapter(dict[str, Number])
KEPT: Final = 20_000
"""Steps kept of a long run; more than any screen shows."""

Record = Mapping[str, object]
_INSIDE: Final = re.compile(r"evaluations/step-\d+/[^/\\]+\.json")


@dataclass(frozen=True)
class Evaluation:
    """One evaluator's numbers at one step."""

    step: int
    evaluator: str
    headline: str
    numbers: Mapping[str, Number]
    measured: str = ""
    """The identity of what was measured."""
    file: str = ""
    """The stored result, from the run folder."""


@dataclass
class Story:
    """All that a run folder tells about a run."""

    folder: Path
    recipe_text: str = ""
    recipe: Record = field(default_factory=dict[str, object])
    run: Record = field(default_factory=dict[str, object])
    end: Record = field(default_factory=dict[str, object])
    sources: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Samples that were trained on and skipped, by source."""
    environment: Record = field(default_factory=dict[str, object])
    steps: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])
    """Every number of a step by its name; the losses as ``parts.NAME``, what was reported as ``numbers.NAME``."""
    evaluations: list[Evaluation] = field(default_factory=list[Evaluation])
    results: dict[str, tuple[int, Result]] = field(default_factory=dict[str, tuple[int, Result]])
    """The last full result of each evaluator that could be read, with its step."""
    missing: list[str] = field(default_factory=list[str])

    def last(self, name: str) -> float | None:
        """Return a number of the last step."""
        return self.steps[-1].get(name) if self.steps else None


def read_story(folder: Path) -> Story:
    """Read a run folder."""
    story = Story(folder)
    _read_recipe(story)
    story.environment = _read_object(story, "env.json")
    _read_metrics(story)
    if not story.end:
        story.end = _read_object(story, "status.json")
    _read_results(story)
    return story


def table(record: Record, key: str) -> Record:
    """Return a table inside a record, empty if it has none by that key."""
    found = record.get(key)
    return cast(Record, found) if isinstance(found, Mapping) else {}


def _text(story: Story, name: str) -> str:
    try:
        return (story.folder / name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        story.missing.append(f"{name}: {error.strerror}")
        return ""


def _read_recipe(story: Story) -> None:
    story.recipe_text = _text(story, "resolved.toml")
    try:
        story.recipe = tomllib.loads(story.recipe_text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        story.missing.append(f"resolved.toml is not valid TOML: {error}")


def _read_object(story: Story, name: str) -> Record:
    text = _text(story, name)
    found = _object(text)
    if text and found is None:
        story.missing.append(f"{name} is not a JSON object")
    return found or {}


def _object(text: str) -> Record | None:
    try:
        found = cast(object, json.loads(text))
    except (ValueError, RecursionError):
        return None
    return cast(Record, found) if isinstance(found, dict) else None


def _records(story: Story) -> Iterator[Record]:
    broken = 0
    try:
        with (story.folder / "metrics.jsonl").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                record = _object(line)
                broken += record is None
                yield record or {}
    except OSError as error:
        story.missing.append(f"metrics.jsonl: {error.strerror}")
    if broken:
        story.missing.append(f"metrics.jsonl: {counted(broken, 'broken line')} left out")


def _count(story: Story, record: Record) -> None:
    """Add up the samples of each source; every record has those since the one before."""
    for name in table(record, "sources"):
        counts = table(table(record, "sources"), name)
        numbers = [counts.get(what) for what in ("trained", "skipped")]
        before = story.sources.get(name, (0, 0))
        story.sources[name] = cast(
            tuple[int, int],
            tuple(old + (new if isinstance(new, int) else 0) for old, new in zip(before, numbers, strict=True)),
        )


def _read_metrics(story: Story) -> None:
    stride = 1
    last: Mapping[str, float] = {}
    for record in _records(story):
        kind = record.get("kind")
        if kind == "step":
            last = _point(record)
            _count(story, record)
            stride = _keep(story, last, stride)
        elif kind == "evaluation":
            _evaluation(story, record)
        elif kind == "run":
            story.run, story.end = record, {}
            _rewind(story, record)
        elif kind == "end":
            story.end = record
    if story.steps and last and story.steps[-1] is not last and last["step"] > story.steps[-1]["step"]:
        story.steps.append(last)


def _point(record: Record) -> Mapping[str, float]:
    inside = {f"{key}.{name}": value for key in ("parts", "numbers") for name, value in table(record, key).items()}
    named = {**record, **inside}
    numbers = {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
    return numbers if "step" in numbers else {}


def _keep(story: Story, point: Mapping[str, float], stride: int) -> int:
    if point and point["step"] % stride == 0:
        story.steps.append(point)
    if len(story.steps) < KEPT:
        return stride
    story.steps[:] = [kept for kept in story.steps if kept["step"] % (2 * stride) == 0]
    return 2 * stride


def _rewind(story: Story, run: Record) -> None:
    """A run that goes on from a checkpoint takes the steps after it again: forget the first try."""
    start = run.get("start")
    if isinstance(start, int):
        story.steps[:] = [point for point in story.steps if point["step"] <= start]
        story.evaluations[:] = [found for found in story.evaluations if found.step <= start]


def _evaluation(story: Story, record: Record) -> None:
    step, name, headline = record.get("step"), record.get("evaluator"), record.get("headline")
    if not (isinstance(step, int) and isinstance(name, str) and isinstance(headline, str)):
        story.missing.append("metrics.jsonl: an evaluation without step, evaluator or headline")
        return
    try:
        numbers = type_of_numbers.validate_python(_measured(record))
    except ValidationError:
        story.missing.append(f"metrics.jsonl: the numbers of '{name}' at step {step} cannot be read")
        return
    story.evaluations.append(
        Evaluation(step, name, headline, numbers, *(str(record.get(key) or "") for key in ("measured", "file")))
    )


def _measured(record: Record) -> dict[str, object]:
    """Return the numbers of an evaluation; one that is null was not finite."""
    numbers = table(record, "numbers")
    found = {name: dict(table(numbers, name)) for name in numbers}
    return {
        name: {**number, "value": math.nan if number.get("value") is None else number["value"]}
        for name, number in found.items()
    }


def _read_results(story: Story) -> None:
    """Read each evaluator's last result: the one of the last row that tells its file, else the one of the last step."""
    for found in {found.evaluator: found for found in story.evaluations if _INSIDE.fullmatch(found.file)}.values():
        path = story.folder / found.file
        if path.exists():
            _read_one(story, found.step, found.evaluator, path)
    for folder in sorted(story.folder.glob("evaluations/step-*"), reverse=True):
        step = folder.name.removeprefix("step-")
        for path in sorted(folder.glob("*.json")):
            name = evaluator_name(path)
            if step.isdecimal() and name not in story.results:
                _read_one(story, int(step), name, path)


def _read_one(story: Story, step: int, name: str, path: Path) -> None:
    try:
        story.results[name] = (step, read_result(path))
    except CheckpointError as error:
        story.missing.append(str(error).replace(str(story.folder), story.folder.name))
