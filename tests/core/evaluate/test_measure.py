"""Evaluating leaves the model, its mode and the random state as they were, and measures the averaged weights."""

from pathlib import Path
from typing import final

import pytest
import torch
from typing_extensions import override

from mmx.errors import CheckpointError, DataError, RecipeError
from mmx.evaluate.measure import eval_model_of, keep, measure
from mmx.evaluate.results import read_results
from mmx.learn.teacher import Teacher
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx.parts.group import SoloGroup
from mmx.runs.layout import RunFolder
from mmx.runs.lines import read_lines
from mmx.train.session import Session
from mmx_toy import proof
from mmx_toy.start import MATCH, sit, start
from mmx_toy.watch import ToyMatch


@final
class Nosy(Evaluator):
    """Notes what it sees, disturbs what it may, and fails if told to."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.seen: list[bool] = []

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        self.seen += [subject.model.training, torch.is_grad_enabled()]
        torch.rand(3)
        subject.model.train()
        if self.fails:
            raise ValueError("no")
        return Result("a", {"a": Number(0.5), "b": Number(float("nan"))})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return sit(tmp_path)[0]


def look(session: Session, subject: EvalModel, nosy: Nosy, folder: RunFolder) -> dict[str, Result]:
    results = measure({"nosy": nosy}, subject)
    keep(results, folder, 7, folder.metrics())
    return results


@pytest.mark.parametrize("fails", [False, True])
def test_mode_weights_and_random_state_are_left_as_they_were(fails: bool, session: Session) -> None:
    objective, nosy = session.experiment.objective, Nosy(fails)
    subject = EvalModel(objective.model, session.experiment.reading.tokenizer, session.experiment.reading.preprocess)
    weights = {name: value.clone() for name, value in objective.state_dict().items()}
    state, modes = torch.get_rng_state(), [module.training for module in objective.modules()]
    if fails:
        with pytest.raises(ValueError, match="no"):
            look(session, subject, nosy, session.folder)
    else:
        look(session, subject, nosy, session.folder)
    assert nosy.seen == [False, False]
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in objective.modules()] == modes
    assert all(torch.equal(value, weights[name]) for name, value in objective.state_dict().items())


def test_frozen_blocks_stay_in_evaluation_mode(tmp_path: Path) -> None:
    session, _ = sit(tmp_path, "image_encoder.train='frozen'", "train.ema=0.5")
    model = session.experiment.objective.model
    subject = EvalModel(model, session.experiment.reading.tokenizer, session.experiment.reading.preprocess)
    look(session, subject, Nosy(), session.folder)
    assert model.training and model.text_encoder.training and not model.image_encoder.training


def test_the_averaged_weights_are_looked_at(session: Session, tmp_path: Path) -> None:
    objective = session.experiment.objective
    teacher = objective.teachers["ema"]
    assert isinstance(teacher, Teacher)
    assert eval_model_of(objective, session.experiment.reading, SoloGroup()).model is teacher.model
    plain = sit(tmp_path / "plain", "losses.match.queue=0")[0].experiment
    del plain.objective.teachers["ema"]
    assert eval_model_of(plain.objective, plain.reading, SoloGroup()).model is plain.objective.model


def test_results_are_kept_in_the_folder_and_in_the_metrics(session: Session) -> None:
    folder = session.folder
    look(session, eval_model_of(session.experiment.objective, session.experiment.reading, SoloGroup()), Nosy(), folder)
    stored = read_results(folder.evaluations / "step-00000007")["nosy"]
    assert stored.headline == "a" and stored.numbers["a"].value == 0.5
    (row,) = read_lines(folder.path / "metrics.jsonl")
    assert (row["kind"], row["step"], row["evaluator"], row["headline"]) == ("evaluation", 7, "nosy", "a")
    assert row["numbers"]["a"]["value"] == 0.5 and row["numbers"]["b"]["value"] is None


def test_bad_samples_are_said_once_and_stop_a_run_as_in_training(tmp_path: Path) -> None:
    said: list[str] = []
    data = ("evaluators.match.data.name='toy'", "evaluators.match.data.bad=[2]", "train.steps=8")
    start(tmp_path, *MATCH, *data, "data.bad_samples=0.2", "data.workers=1", say=said.append)
    assert [text for text in said if "skipped" in text] == ["skipped toy-0002: is bad on purpose"]
    with pytest.raises(
        DataError, match=r"what is evaluated: 1 so far, more than the 0 of 8.*toy-0002: is bad on purpose"
    ):
        start(tmp_path / "strict", *MATCH, *data)
    assert proof.final(tmp_path / "strict" / "run").step == 4  # what was reached is saved


def test_a_model_that_lacks_what_is_measured_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyMatch, "needs", ("write",))
    with pytest.raises(RecipeError, match=r"evaluators\.match: needs a model with `write`, which the fusion ToyFusion"):
        sit(tmp_path, *MATCH)
    assert not (tmp_path / "run").exists()


def test_results_that_cannot_be_written(session: Session) -> None:
    session.folder.evaluations.touch()
    with pytest.raises(CheckpointError, match="the evaluation of step 7 cannot be written"):
        look(
            session,
            eval_model_of(session.experiment.objective, session.experiment.reading, SoloGroup()),
            Nosy(),
            session.folder,
        )
