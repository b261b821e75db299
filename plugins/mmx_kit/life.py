"""The life of a run as a tracker is shown it: a run folder that fills up, and every event there is."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import os
import tempfile
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from PIL import Image

from mmx.errors import PluginError
from mmx.evaluate.results import write_result
from mmx.parts.evaluator import Guess, Number, Picture, Result, Table
from mmx.parts.events import Outcome, Run, Step
from mmx.parts.tracker import Tracker
from mmx.plugin.manager import Plugins
from mmx.runs.lines import JsonLines
from mmx_kit.check import BrokenError

SECRET: Final = "kit-secret-5d1c93a7e0b24f68"
"""Stands in the environment while a tracker is watched; it must not turn up anywhere."""
_SECRETS: Final = ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "GITHUB_TOKEN")
STEPS: Final = 20

FINISHED: Final = Outcome("finished", "", STEPS, 61.5, 0, "")
FAILED: Final = Outcome(
    "failed", "the loss is not finite at step 14: nan\n(see <metrics>)", 14, 40.0, 6, "mmx run --resume x"
)


@dataclass(frozen=True)
class Seen:
    """What was to be seen of a tracker from outside."""

    folder: Path
    printed: str
    """What it wrote to standard output, which belongs to scripts."""
    said: str
    """What it wrote to standard error."""


def live(tracker: Tracker, where: Path, start: int = 0, outcome: Outcome = FINISHED) -> Seen:
    """Show a tracker one run, from its start to ``close``.

    Args:
        tracker: a new one.
        where: a folder in which the run folder is made.
        start: the step that the run resumed after, 0 for a new run.
        outcome: how the run ends.

    Raises:
        BrokenError: a hook is misspelt, raised, or changed what it was given.
    """
    where.mkdir(exist_ok=True)
    plugins = connected(tracker)
    run = _run(Path(tempfile.mkdtemp(dir=where)), start)
    with secrets(), _captured() as (printed, said):
        try:
            _show(plugins, run, outcome)
        finally:
            tracker.close()
    if plugins.faults:
        fault = plugins.faults[0]
        raise BrokenError(f"{fault.hook} raised on an event that runs do have: {fault.error}")
    return Seen(run.folder, printed.getvalue(), said.getvalue())


def connected(tracker: Tracker) -> Plugins:
    """Return plugins of which the tracker is the only one.

    Raises:
        BrokenError: it has no hook, or one that is misspelt or not marked.
    """
    plugins = Plugins(discover=False, say=lambda text: None)
    try:
        plugins.add(tracker, "the tracker")
    except PluginError as error:
        raise BrokenError(str(error)) from error
    return plugins


@contextlib.contextmanager
def secrets() -> Generator[None]:
    """Put a secret into the environment, under names that hold real ones, and take it away again."""
    before = {name: os.environ.get(name) for name in _SECRETS}
    os.environ.update(dict.fromkeys(_SECRETS, SECRET))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def _captured() -> Generator[tuple[io.StringIO, io.StringIO]]:
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        yield printed, said


def _show(plugins: Plugins, run: Run, outcome: Outcome) -> None:
    metrics = JsonLines(run.folder / "metrics.jsonl")
    metrics.append({"kind": "run", **asdict(replace(run, recipe={})), "folder": run.folder.name, "step": run.start})
    given = copy.deepcopy(run)
    plugins.run_start(run)
    for step in _steps(run):
        metrics.append({"kind": "step", **asdict(step)})
        told = copy.deepcopy(step)
        plugins.step_end(run, step)
        _unchanged("step", step, told)
    results = {"zero_shot": _result(0.25), "odd-Name_9": _result(math.nan)}
    for name, result in results.items():
        write_result(run.folder / "evaluations" / f"step-{STEPS:08d}", name, result)
        numbers = {number: asdict(value) for number, value in result.numbers.items()}
        metrics.append(
            {"kind": "evaluation", "step": STEPS, "evaluator": name, "headline": result.headline, "numbers": numbers}
        )
    shown = copy.deepcopy(results)
    plugins.evaluation_end(run, STEPS, results)
    _unchanged("results", results, shown)
    metrics.append({"kind": "end", **asdict(outcome)})
    metrics.close()
    plugins.run_end(run, outcome)
    _unchanged("run", run, given)


def _unchanged(what: str, now: Any, before: Any) -> None:
    if now == before:
        return
    one, other = (value if isinstance(value, dict) else vars(value) for value in (before, now))
    name = next(name for name in {**one, **other} if one.get(name) != other.get(name))
    raise BrokenError(f"it changed what it was given: '{name}' of the {what} was {one.get(name)}, is {other.get(name)}")


def _run(folder: Path, start: int) -> Run:
    recipe: dict[str, Any] = {
        "name": "kit",
        "seed": 3,
        "losses": {"main": {"name": "contrast", "weight": 0.5}, "odd-Name_9": {"name": "words"}},
        "data": {"batch": 8, "train": {"name": "folder", "path": "p\u00efctures/<a b>"}},
        "optim": {"betas": [0.9, 0.98]},
        "evaluators": {"zero_shot": {"name": "zeroshot"}},
    }
    (folder / "resolved.toml").write_text('name = "kit"\nseed = 3\n', encoding="utf-8")
    (folder / "env.json").write_text(json.dumps({"python": "3"}), encoding="utf-8")
    return Run(
        folder.name, folder, recipe, STEPS, start, 1200, 1000, 64, "1 CPU thread, fp32", ("mmx", "run", "kit.toml")
    )


def _steps(run: Run) -> list[Step]:
    """Return steps among which are a loss that is not a number, one that is infinite, and one that was not computed."""
    common = Step(1, 0.1, 2.1, {"main": 2.1, "odd-Name_9": 0.0}, 1e-3, 14.3, 1.5, 120.0, 0.5, 0.1, 60.0, 0)
    odd = {
        1: replace(common, images_per_second=0.0, left=math.inf),
        2: replace(common, loss=math.nan, parts={"main": math.nan, "odd-Name_9": 1e30}, gradient_norm=math.nan),
        3: replace(common, loss=math.inf, parts={"main": math.inf}, gradient_norm=math.inf, scale=0.0),
        4: replace(common, parts={}, lr=0.0, skipped=3, waited=1.0),
        STEPS - run.start: replace(common, left=0.0),
    }
    return [
        replace(odd.get(n, common), step=run.start + n, seconds=0.5 * n) for n in (1, 2, 3, 4, 6, STEPS - run.start)
    ]


def _result(value: float) -> Result:
    png = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 99, 199)).save(png, "PNG")
    picture = Picture("k/1", png.getvalue(), "caf\u00e9 <b>", (Guess("dog", 0.5), Guess("caf\u00e9 <b>", math.nan)), 2)
    numbers = {
        "top1": Number(value, 0.2, 0.3, 0.01, 9, "the first"),
        "seen/top 5 (\u00fcber)": Number(math.inf),
        "none": Number(0.0, None, None, 0.0, 0),
    }
    wide = io.BytesIO()
    Image.new("RGB", (400, 2)).save(wide, "PNG")
    drawn = Picture("drawn", wide.getvalue(), caption="a <b> picture of its own")
    tables = {
        "per_class": Table(("class", "count", "top1"), [("a|b", 0, 0.5), ("c", None, True)], "each <b> class"),
        "empty": Table(("class",), []),
    }
    return Result("top1", numbers, tables, {"sample": [picture, drawn]}, Table(("sample", "rank"), [("k/1", 2)]))
