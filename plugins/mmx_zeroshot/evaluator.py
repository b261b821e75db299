"""Zero-shot classification as an evaluator."""

from collections.abc import Mapping
from typing import final

from jaxtyping import Bool
from torch import Tensor
from typing_extensions import override

from mmx.errors import DataError, RecipeError
from mmx.evaluate import EncodePass, class_vectors
from mmx.parts.dataset import BadSampleError, Classes, Dataset, Fact
from mmx.parts.evaluator import Cell, EvalModel, Evaluator, Number, Result, Table
from mmx_zeroshot.config import ZeroShotConfig
from mmx_zeroshot.interval import wilson
from mmx_zeroshot.pictures import Shown
from mmx_zeroshot.ranking import K, Ranked, Ranking
from mmx_zeroshot.table import per_class, recall_of_classes

_LOOKED_AT = 8


@final
class ZeroShot(Evaluator):
    """Ranks all class names for every picture.

    Accuracy at k is the share of pictures whose own name is among the k nearest. A dataset may name groups of its
    classes: the first is the headline; every further one is also ranked among its own names alone.

    Pictures are scored as they come; what is kept of each is its rank and its five best names.
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
        self._groups = dict(self._classes.groups) or {"all": range(len(self._classes.names))}

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        names, templates = self._classes.names, self._classes.templates
        ranking = Ranking(subject, class_vectors(subject, names, templates, self._config.batch), self._groups)
        read = EncodePass(subject, self._dataset, self._config.batch)
        for samples in read:
            if samples.pixels is not None:
                ranking.add(
                    samples.indices,
                    [_label(*one) for one in zip(samples.keys, samples.facts, strict=True)],
                    samples.pixels,
                )
        found = ranking.gathered()
        if not len(found.labels):
            raise DataError("no picture of the zero-shot dataset could be read")
        shown = Shown(subject, self._dataset, names, found, found.members(next(iter(self._groups.values()))))
        return Result(
            headline="top1",
            numbers=self._numbers(found, len(read.bad)),
            tables={"per_class": per_class(names, found), **read.bad_table()},
            pictures={
                "sample": shown.spread(self._config.pictures),
                "nearest_wrong": shown.nearest_wrong(self._config.pictures),
            },
            outcomes=self._outcomes(found),
            about={
                "names": list(names),
                "templates": list(templates),
                "groups": {k: len(v) for k, v in self._groups.items()},
            },
        )

    def _numbers(self, found: Ranked, bad: int) -> dict[str, Number]:
        every = len(self._classes.names)
        numbers: dict[str, Number] = {}
        for place, (group, members) in enumerate(self._groups.items()):
            rows = found.members(members)
            prefix = "" if place == 0 else f"{group}."
            about = f"{group} concepts, among all {every} names"
            numbers |= _accuracy(prefix, about, found.hits[rows], every)
            if place == 0:
                numbers |= recall_of_classes(found, rows, every)
            else:
                about = f"{group} concepts, among their own {len(members)} names"
                numbers |= _accuracy(f"{group}.among_own.", about, found.among_own[group][rows], len(members))
        numbers["bad_samples"] = Number(float(bad), count=len(self._dataset), help="pictures that could not be used")
        return numbers

    def _outcomes(self, found: Ranked) -> Table:
        names = list(self._classes.names)
        rows: list[tuple[Cell, ...]] = [
            (self._dataset.key(index), names[label], rank, names[best], score, own)
            for index, label, rank, best, score, own in zip(
                found.indices.tolist(),
                found.labels.tolist(),
                found.ranks.tolist(),
                found.best.tolist(),
                found.scores[:, 0].tolist(),
                found.own.tolist(),
                strict=True,
            )
        ]
        return Table(("sample", "truth", "rank", "best", "score_of_best", "score_of_truth"), rows)


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


def _label(key: str, facts: Mapping[str, Fact]) -> int:
    if "label" not in facts:
        raise DataError(f"{key} has no fact 'label', which samples before it have")
    label = facts["label"]
    if not isinstance(label, int):
        raise DataError(f"{key}: the fact 'label' is the number of a class, not {label!r}")
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


def _accuracy(prefix: str, about: str, hits: Bool[Tensor, "p 2"], classes: int) -> dict[str, Number]:
    count = len(hits)
    found: dict[str, Number] = {}
    for column, k in enumerate(K):
        if count == 0 or classes <= k:
            continue
        right = int(hits[:, column].sum())
        low, high = wilson(right, count)
        found[f"{prefix}top{k}"] = Number(right / count, low, high, k / classes, count, f"top-{k} accuracy: {about}")
    return found
