"""Zero-shot classification as an evaluator."""

import io
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy
from typing_extensions import override

from mmx.data.pixels import preprocess
from mmx.errors import DataError, RecipeError
from mmx.parts.batch import Pixels
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Sample
from mmx.parts.evaluator import EvalModel, Evaluator, Guess, Number, Picture, Result
from mmx_zeroshot.classifier import classifier
from mmx_zeroshot.config import ZeroShotConfig
from mmx_zeroshot.interval import wilson

_THUMBNAIL = 96
_LOOKED_AT = 8


@final
class ZeroShot(Evaluator):
    """Ranks all class names for every picture.

    Accuracy at k is the share of pictures whose own name is among the k nearest. A dataset may name groups of its
    classes: the first is the headline; every further one is also ranked among its own names alone.
    """

    needs = ("embed_image", "embed_text", "similarity")

    def __init__(self, config: ZeroShotConfig, dataset: Dataset | None) -> None:
        if dataset is None:
            raise RecipeError(
                "zero-shot classification needs a labelled dataset: add its table, [evaluators.NAME.data]"
            )
        self._config = config
        self._dataset = dataset
        _require_labels(dataset)
        self._classes = _classes(config, dataset)

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        indices, labels, images = self._embed(subject)
        texts = classifier(subject, self._classes.names, self._classes.templates, self._config.batch)
        scores = subject.model.fusion.similarity(images, texts.to(images.dtype)).float().cpu()
        ranks = 1 + (scores > scores.gather(1, labels[:, None])).sum(dim=1)
        shown = self._headline(labels)
        return Result(
            headline="top1",
            numbers=self._numbers(scores, labels, len(self._dataset) - len(indices)),
            tables={"per_class": self._per_class(scores, labels, ranks)},
            pictures={
                "sample": self._pictures(_spread(shown, self._config.pictures), indices, scores, labels, ranks),
                "nearest_wrong": self._pictures(
                    _nearest_wrong(shown, scores, labels, ranks)[: self._config.pictures],
                    indices,
                    scores,
                    labels,
                    ranks,
                ),
            },
        )

    def _embed(self, subject: EvalModel) -> tuple[list[int], Int[Tensor, " m"], Float[Tensor, "m *q d"]]:
        """Embed every picture, each on one rank; a bad one is left out and counted."""
        found: list[tuple[int, int]] = []
        rows: list[Tensor] = []
        pieces: list[Tensor] = []
        for index in subject.share(len(self._dataset)):
            try:
                sample = self._dataset.read(index)
                if sample.image is None:
                    raise BadSampleError("has no picture")
                rows.append(preprocess(sample.image, subject.preprocess))
            except BadSampleError:
                continue
            found.append((index, _label(sample)))
            if len(rows) == self._config.batch:
                pieces.append(_embedded(subject, rows))
                rows = []
        if rows:
            pieces.append(_embedded(subject, rows))
        if not pieces:  # of no picture, but as wide as those of other ranks
            blank = Image.new("RGB", (1, 1))
            pieces.append(_embedded(subject, [preprocess(blank, subject.preprocess)])[:0])
        placed = subject.gather(torch.tensor(found, dtype=torch.int64, device=pieces[0].device).view(-1, 2)).cpu()
        if not len(placed):
            raise DataError("no picture of the zero-shot dataset could be read")
        return placed[:, 0].tolist(), placed[:, 1], subject.gather(torch.cat(pieces))

    def _headline(self, labels: Int[Tensor, " m"]) -> Int[Tensor, " p"]:
        """Return the rows of the headline group."""
        groups = list(self._classes.groups.values())
        return _member(labels, groups[0] if groups else range(len(self._classes.names)))

    def _numbers(self, scores: Tensor, labels: Tensor, bad: int) -> dict[str, Number]:
        every = len(self._classes.names)
        groups = dict(self._classes.groups) or {"all": range(every)}
        found: dict[str, Number] = {}
        for place, (group, members) in enumerate(groups.items()):
            rows = _member(labels, members)
            prefix = "" if place == 0 else f"{group}."
            about = f"{group} concepts, among all {every} names"
            found |= _accuracy(prefix, about, scores[rows], labels[rows])
            if place > 0:
                kept = torch.tensor(sorted(members))
                within = torch.searchsorted(kept, labels[rows])
                about = f"{group} concepts, among their own {len(kept)} names"
                found |= _accuracy(f"{group}.among_own.", about, scores[rows][:, kept], within)
        found["bad_samples"] = Number(float(bad), count=len(self._dataset), help="pictures that could not be read")
        return found

    def _per_class(self, scores: Tensor, labels: Tensor, ranks: Tensor) -> list[dict[str, str | float | int]]:
        names, best = list(self._classes.names), scores.argmax(dim=1)
        table: list[dict[str, str | float | int]] = []
        for label in labels.unique().tolist():
            rows = (labels == label).nonzero().flatten()
            table.append(
                {
                    "class": names[label],
                    "count": len(rows),
                    "top1": float((ranks[rows] == 1).float().mean()),
                    "top5": float((ranks[rows] <= 5).float().mean()),
                    "median_rank": int(ranks[rows].median()),
                    "most_often": names[int(best[rows].mode().values)],
                }
            )
        return table

    def _pictures(
        self, rows: Sequence[int], indices: list[int], scores: Tensor, labels: Tensor, ranks: Tensor
    ) -> list[Picture]:
        found: list[Picture] = []
        names = list(self._classes.names)
        for row in rows:
            sample = self._dataset.read(indices[row])
            values, order = scores[row].topk(min(5, len(names)))
            guesses = tuple(Guess(names[i], v) for v, i in zip(values.tolist(), order.tolist(), strict=True))
            if sample.image is not None:
                found.append(Picture(sample.key, _png(sample.image), names[int(labels[row])], guesses, int(ranks[row])))
        return found


def _embedded(subject: EvalModel, rows: list[Tensor]) -> Float[Tensor, "m *q d"]:
    return subject.model.embed_image(Pixels(torch.stack(rows).to(subject.model.mean.device)))


def _require_labels(dataset: Dataset) -> None:
    """Look at the first samples, so that a run does not find out at its first evaluation.

    Raises:
        RecipeError: they have no labels.
    """
    for index in range(min(_LOOKED_AT, len(dataset))):
        try:
            sample = dataset.read(index)
        except BadSampleError:
            continue
        if "label" not in sample.facts:
            has = ", ".join(sample.facts) or "none"
            raise RecipeError(
                "zero-shot classification needs the fact 'label' of each sample, the number of its class; this dataset "
                f"gives: {has}. Use a dataset with labels"
            )
        return


def _label(sample: Sample) -> int:
    if "label" not in sample.facts:
        raise DataError(f"{sample.key} has no fact 'label', which samples before it have")
    label = sample.facts["label"]
    if not isinstance(label, int):
        raise DataError(f"{sample.key}: the fact 'label' is the number of a class, not {label!r}")
    return label


def _classes(config: ZeroShotConfig, dataset: Dataset) -> Classes:
    own = dataset.classes()
    if own is None and config.names is None:
        raise RecipeError("the zero-shot dataset has no class names; give them in the evaluator's `names`")
    given = own if own is not None else Classes(config.names or [])
    templates = config.templates if config.templates is not None else given.templates
    wrong = [template for template in templates if "{}" not in template]
    if wrong or not templates:
        raise RecipeError(f"a template needs {{}} where the class name goes: {wrong[0] if wrong else 'none is given'}")
    if config.names is not None and own is not None and len(config.names) != len(own.names):
        raise RecipeError(f"the evaluator gives {len(config.names)} names, the dataset has {len(own.names)} classes")
    return Classes(config.names if config.names is not None else given.names, templates, given.groups)


def _accuracy(prefix: str, about: str, scores: Tensor, labels: Tensor) -> dict[str, Number]:
    count, classes = scores.shape
    found: dict[str, Number] = {}
    for k in (1, 5):
        if count == 0 or classes <= k:
            continue
        share = float(multiclass_accuracy(scores, labels, num_classes=classes, average="micro", top_k=k))
        low, high = wilson(round(share * count), count)
        found[f"{prefix}top{k}"] = Number(share, low, high, k / classes, count, f"top-{k} accuracy: {about}")
    return found


def _member(labels: Tensor, members: Sequence[int]) -> Tensor:
    return torch.isin(labels, torch.tensor(list(members), dtype=labels.dtype)).nonzero().flatten()


def _spread(rows: Tensor, count: int) -> list[int]:
    """Return up to ``count`` rows at equal distances, the same in every evaluation."""
    if len(rows) <= count:
        return rows.tolist()
    return [int(rows[place * len(rows) // count]) for place in range(count)]


def _nearest_wrong(rows: Tensor, scores: Tensor, labels: Tensor, ranks: Tensor) -> list[int]:
    """Return the wrong rows, smallest gap between the best score and the truth's first."""
    wrong = rows[ranks[rows] > 1]
    gap = scores[wrong].amax(dim=1) - scores[wrong].gather(1, labels[wrong][:, None]).flatten()
    return wrong[gap.argsort(stable=True)].tolist()


def _png(picture: Image.Image) -> bytes:
    small = picture.convert("RGB")
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    data = io.BytesIO()
    small.save(data, format="PNG")
    return data.getvalue()
