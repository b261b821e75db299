"""Broken parts of every kind, and their unbroken twins."""

from itertools import chain
from typing import Final

from broken import (
    datasets,
    encoders,
    encoders_trained,
    engines,
    evaluators,
    filters,
    fusions,
    fusions_trained,
    held,
    losses,
    losses_trained,
    means,
    means_trained,
    noise,
    options,
    texts,
    tokenizers,
    trackers,
    transforms,
    travelling,
    weights,
)
from broken.table import Broken as Broken
from broken.table import Twin as Twin

MODEL_TWINS: Final[tuple[Twin, ...]] = (
    *encoders.TWINS,
    *texts.TWINS,
    *fusions.TWINS,
    *losses.TWINS,
    *held.TWINS,
    *means.TWINS,
    *noise.TWINS,
)
MODEL_BROKEN: Final[tuple[Broken, ...]] = (
    *encoders.BROKEN,
    *encoders_trained.BROKEN,
    *texts.BROKEN,
    *fusions.BROKEN,
    *fusions_trained.BROKEN,
    *losses.BROKEN,
    *losses_trained.BROKEN,
    *held.BROKEN,
    *means.BROKEN,
    *means_trained.BROKEN,
    *noise.BROKEN,
)
BROKEN: Final[tuple[Broken, ...]] = tuple(
    chain(
        MODEL_BROKEN,
        options.OPTIONS,
        datasets.DATASETS,
        filters.FILTERS,
        travelling.TRAVELLING,
        transforms.TRANSFORMS,
        tokenizers.TOKENIZERS,
        evaluators.EVALUATORS,
        trackers.TRACKERS,
        engines.ENGINES,
        weights.WEIGHTS,
    )
)
