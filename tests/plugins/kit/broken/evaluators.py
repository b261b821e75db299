"""An evaluator that keeps its contract, and variations of it that do not."""

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from broken.table import Broken, Twin
from mmx.config import EvaluatorConfig
from mmx.data.pixels import preprocess
from mmx.errors import RecipeError
from mmx.parts.batch import Pixels
from mmx.parts.dataset import BadSampleError, Dataset, Sample
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result


class MatchConfig(EvaluatorConfig):
    batch: int = 5
    """Pictures that are encoded at once."""


class Match(Evaluator):
    """The twin: the share of pictures whose own name is the most similar one, and the mean similarity with it."""

    def __init__(self, config: MatchConfig, dataset: Dataset | None) -> None:
        labels = None if dataset is None else dataset.classes()
        if dataset is None or labels is None:
            raise RecipeError("a labelled dataset is needed")
        self.dataset, self.names, self.batch = dataset, list(labels.names), config.batch

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        texts = subject.model.embed_text(subject.tokenizer(self.names))
        samples = list(self.samples())
        found = [self.scores(subject, samples[i : i + self.batch], texts) for i in range(0, len(samples), self.batch)]
        labels = torch.tensor([sample.facts["label"] for sample in samples])
        return self.result(found, list(labels.split(self.batch)))

    def samples(self) -> Iterator[Sample]:
        for index in range(len(self.dataset)):
            try:
                yield self.dataset.read(index)
            except BadSampleError:
                continue

    def scores(self, subject: EvalModel, samples: Sequence[Sample], texts: Tensor) -> Tensor:
        rows = [preprocess(sample.image, subject.preprocess) for sample in samples if sample.image is not None]
        return subject.model.fusion.similarity(subject.model.embed_image(Pixels(torch.stack(rows))), texts)

    def result(self, scores: Sequence[Tensor], labels: Sequence[Tensor]) -> Result:
        return self.told(torch.cat(list(scores)), torch.cat(list(labels)))

    def told(self, scores: Tensor, labels: Tensor) -> Result:
        right = float((scores.argmax(1) == labels).float().mean())
        own = float(scores.gather(1, labels[:, None]).mean())
        return self.named(right, own, len(labels))

    def named(self, right: float, own: float, count: int) -> Result:
        top1 = Number(right, None, None, 1 / len(self.names), count)
        return Result("top1", {"top1": top1, "similarity": Number(own, count=count)})


class Percent(Match):
    @override
    def named(self, right: float, own: float, count: int) -> Result:
        return super().named(1 + 100 * right, own, count)


class OtherHeadline(Match):
    @override
    def named(self, right: float, own: float, count: int) -> Result:
        return Result("top-1", super().named(right, own, count).numbers)


class NotANumber(Match):
    @override
    def named(self, right: float, own: float, count: int) -> Result:
        return super().named(right, math.nan, count)


class Sampling(Match):
    """Measures on a random half, drawn anew each time."""

    @override
    def samples(self) -> Iterator[Sample]:
        chosen = torch.randperm(len(self.dataset))[:6].tolist()
        return (sample for index, sample in enumerate(super().samples()) if index in chosen)


class Running(Match):
    """Keeps a running mean over evaluations."""

    before = 0.0

    @override
    def named(self, right: float, own: float, count: int) -> Result:
        self.before = (self.before + own) / 2
        return super().named(right, self.before, count)


class LeavesTraining(Match):
    @override
    def evaluate(self, subject: EvalModel) -> Result:
        found = super().evaluate(subject)
        subject.model.train()
        return found


class ScalesWeights(Match):
    @override
    def evaluate(self, subject: EvalModel) -> Result:
        found = super().evaluate(subject)
        for parameter in subject.model.fusion.parameters():
            parameter.mul_(0.5)
        return found


class KeepsGradients(Match):
    @override
    def evaluate(self, subject: EvalModel) -> Result:
        with torch.enable_grad():
            subject.model.embed_text(subject.tokenizer(self.names)).sum().backward()
        return super().evaluate(subject)


class LeavesHook(Match):
    @override
    def evaluate(self, subject: EvalModel) -> Result:
        subject.model.image_encoder.register_forward_hook(lambda module, given, made: None)
        return super().evaluate(subject)


class MeanOfRatios(Match):
    """The mean of the batches' shares, which weighs the last, smaller batch too much."""

    @override
    def result(self, scores: Sequence[Tensor], labels: Sequence[Tensor]) -> Result:
        found = [self.told(one, two).numbers for one, two in zip(scores, labels, strict=True)]
        mean = [sum(numbers[name].value for numbers in found) / len(found) for name in ("top1", "similarity")]
        return self.named(mean[0], mean[1], sum(map(len, labels)))


class DropsLast(Match):
    @override
    def samples(self) -> Iterator[Sample]:
        every = list(super().samples())
        return iter(every[: max(1, len(every) // self.batch) * self.batch])


class PadsLast(Match):
    """Fills the last batch with copies of its last sample, and counts them."""

    @override
    def samples(self) -> Iterator[Sample]:
        every = list(super().samples())
        return iter(every + every[-1:] * (-len(every) % self.batch))


class HalfAlone(Match):
    @override
    def samples(self) -> Iterator[Sample]:
        return itertools.islice(super().samples(), 6)


class WeighsLater(Match):
    """Averages exponentially along the samples."""

    @override
    def told(self, scores: Tensor, labels: Tensor) -> Result:
        mean = 0.0
        for value in scores.gather(1, labels[:, None]).flatten().tolist():
            mean = 0.9 * mean + 0.1 * value
        return self.named(super().told(scores, labels).numbers["top1"].value, mean, len(labels))


class EndsAtBad(Match):
    @override
    def samples(self) -> Iterator[Sample]:
        return (self.dataset.read(index) for index in range(len(self.dataset)))


class CountsBad(Match):
    @override
    def named(self, right: float, own: float, count: int) -> Result:
        return super().named(right * count / len(self.dataset), own, len(self.dataset))


class SingleAlone(Match):
    """Keeps the scores in a table of float32, whatever the model computes in."""

    @override
    def scores(self, subject: EvalModel, samples: Sequence[Sample], texts: Tensor) -> Tensor:
        return torch.zeros(len(samples), len(self.names)).addmm(super().scores(subject, samples, texts), torch.eye(4))


class CastsPixels(Match):
    """Runs the tower by itself, on pixels that are cast to float32."""

    @override
    def scores(self, subject: EvalModel, samples: Sequence[Sample], texts: Tensor) -> Tensor:
        rows = [preprocess(sample.image, subject.preprocess) for sample in samples if sample.image is not None]
        pixels = (torch.stack(rows).float() - 127) / 64
        encoded = subject.model.image_encoder(Pixels(pixels))
        return subject.model.fusion.embed_image(encoded, subject.model.text_encoder) @ texts.mT


def _broken(check: str, *parts: type[Match]) -> Iterator[Broken]:
    return (Broken("evaluator", part.__name__, f"{__name__}:{part.__name__}", MatchConfig, check) for part in parts)


EVALUATOR = Twin("evaluator", "Match", f"{__name__}:Match", MatchConfig)
EVALUATORS = tuple(
    itertools.chain(
        _broken("result", Percent, OtherHeadline, NotANumber),
        _broken("repeated", Sampling, Running),
        _broken("model kept", LeavesTraining, ScalesWeights, KeepsGradients, LeavesHook),
        _broken("batch sizes", MeanOfRatios, DropsLast, PadsLast),
        _broken("order", MeanOfRatios, HalfAlone, WeighsLater),
        _broken("bad sample", EndsAtBad, CountsBad),
        _broken("device and dtype", SingleAlone, CastsPixels),
        _broken("global state", Sampling),
    )
)
