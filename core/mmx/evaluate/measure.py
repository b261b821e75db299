"""Running evaluators and keeping what they found."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, cast

import torch

from mmx.config import EngineConfig
from mmx.errors import CheckpointError
from mmx.evaluate.results import write_result
from mmx.learn.objective import Objective
from mmx.learn.rng import RandomState
from mmx.learn.teacher import Teacher
from mmx.models import build as model_build
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx.parts.feed import PLAIN, Feed
from mmx.parts.group import Group
from mmx.parts.report import Numbers, means
from mmx.runs.layout import RunFolder
from mmx.runs.lines import JsonLines
from mmx.runs.mask import masked


def eval_model_of(objective: Objective, read: model_build.Reading, group: Group, feed: Feed = PLAIN) -> EvalModel:
    """Return what is evaluated and saved: the averaged weights where the recipe asks for them, else the model's own."""
    teacher = objective.teachers[model_build.EMA] if model_build.EMA in objective.teachers else None
    model = objective.model if teacher is None else cast(Teacher, teacher).model
    return EvalModel(model, read.tokenizer, read.preprocess, group, feed)


def device_for(parallel: EngineConfig) -> torch.device:
    """Return where to evaluate: in one process, whatever engine the options are of."""
    wanted = getattr(parallel, "device", "auto")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


@torch.no_grad()
def measure(evaluators: Mapping[str, Evaluator], subject: EvalModel) -> dict[str, Result]:
    """Run evaluators. The model and the random state are left as they were."""
    device = subject.model.mean.device
    state, training = RandomState.capture(device), subject.model.training
    subject.model.eval()
    try:
        return {name: _measured(evaluator, subject) for name, evaluator in evaluators.items()}
    finally:
        subject.model.train(training)
        state.restore(device)


def _measured(evaluator: Evaluator, subject: EvalModel) -> Result:
    """Run an evaluator; what is reported meanwhile is among its numbers, where it has none of that name."""
    told = Numbers()
    with told.listening():
        result = evaluator.evaluate(subject)
    reported = {name: Number(value, help="reported") for name, value in means([told.totals()]).items()}
    return replace(result, numbers={**reported, **result.numbers}) if reported else result


def keep(results: Mapping[str, Result], folder: RunFolder, step: int, metrics: JsonLines) -> None:
    """Keep what evaluators found in the run folder.

    Raises:
        CheckpointError: it cannot be written.
    """
    for name, result in results.items():
        try:
            path = write_result(folder.evaluations / f"step-{step:08d}", name, _masked(result))
        except OSError as error:
            raise CheckpointError(
                f"the evaluation of step {step} cannot be written: {error}; mend this, then resume"
            ) from error
        numbers = {number: asdict(value) for number, value in result.numbers.items()}
        row = {"kind": "evaluation", "step": step, "evaluator": name, "headline": result.headline, "numbers": numbers}
        measured = "" if result.record is None else result.record.identity
        metrics.append({**row, "measured": measured, "file": path.relative_to(folder.path).as_posix()})


def plain(results: Mapping[str, Result]) -> dict[str, Any]:
    """Return the numbers of results as plain JSON values."""
    numbers = {name: {k: asdict(v) for k, v in result.numbers.items()} for name, result in results.items()}
    return {"evaluations": numbers}


def _masked(result: Result) -> Result:
    """Return it without secrets that options such as URLs may have."""
    if result.record is None:
        return result
    return replace(result, record=replace(result.record, evaluator=masked(result.record.evaluator)))
