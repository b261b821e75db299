"""An evaluator that disturbs what it can, and a tracker that fails in every hook."""

import time
from collections.abc import Callable
from typing import final

import torch
from typing_extensions import override

from mmx.evaluate import encode
from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx.parts.events import Step
from mmx.parts.tracker import Tracker
from mmx.plugin.hookspecs import hookimpl
from mmx_toy import configs
from mmx_toy.data import ToyPictures


@final
class ToyMatch(Evaluator):
    """Finds the caption of eight pictures."""

    def __init__(self, config: configs.Match, dataset: Dataset | None) -> None:
        self.config = config
        self.dataset = dataset or ToyPictures(configs.Pictures(name="toy"))

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        time.sleep(self.config.seconds)
        if self.config.fail:
            raise ZeroDivisionError("the evaluator fails on purpose")
        if self.config.draws:
            torch.rand(7)
        read = encode(subject, self.dataset, batch=4, captions="all", limit=8)
        assert read.images is not None and read.texts is not None
        found = subject.model.fusion.similarity(read.images, read.texts[1::2])  # each has two captions
        mean = Number(float(found.diagonal().mean()), help="mean similarity of a picture and its caption")
        return Result("similarity", {"similarity": mean, "training": Number(float(subject.model.training))})


@final
class Broken(Tracker):
    """Fails whenever it is called."""

    def __init__(self, config: configs.Broken) -> None:
        self.config = config

    @hookimpl
    def mmx_run_start(self) -> None:
        raise RuntimeError("run start")

    @hookimpl
    def mmx_step_end(self) -> None:
        raise RuntimeError("step end")

    @hookimpl
    def mmx_evaluation_end(self) -> None:
        raise RuntimeError("evaluation end")

    @hookimpl
    def mmx_run_end(self) -> None:
        raise SystemExit("run end")

    @override
    def close(self) -> None:
        if not self.config.closes:
            raise RuntimeError("close")


@final
class AtStep:
    """An observer that does something after a step."""

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self.step, self.action = step, action

    @hookimpl
    def mmx_step_end(self, step: Step) -> None:
        if step.step == self.step:
            self.action()
