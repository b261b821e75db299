"""An evaluator that disturbs what it can, and a tracker that fails in every hook."""

import time
from collections.abc import Callable
from typing import final

import torch
from typing_extensions import override

from mmx.data.pixels import preprocess
from mmx.parts.batch import Pixels
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
        samples = [self.dataset.read(index) for index in range(8)]
        rows = [preprocess(sample.image, subject.preprocess) for sample in samples if sample.image is not None]
        images = subject.model.embed_image(Pixels(torch.stack(rows)))
        texts = subject.model.embed_text(subject.tokenizer([sample.texts[1] for sample in samples]))
        found = subject.model.fusion.similarity(images, texts)
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
