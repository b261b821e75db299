"""What a part of each kind is built with, and what it makes of fixed inputs, as one value that can be compared."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import torch

from mmx.config import EvaluatorConfig, TransformConfig
from mmx.parts.dataset import BadSampleError, Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Result
from mmx.parts.optimizer import Optimizer
from mmx.parts.schedule import Schedule
from mmx.parts.sizes import Sizes
from mmx.parts.tokenizer import Tokenizer
from mmx.parts.transform import ImageTransform, PixelRow, TextTransform, WordRow
from mmx_kit.case import Case
from mmx_kit.check import NotApplicableError
from mmx_kit.life import live
from mmx_kit.partners import PREPROCESS, SIZES, partner_model, sizes_of, widths
from mmx_kit.samples import PartnerDataset, PartnerTokenizer
from mmx_kit.sources import CAPTIONS, image_sources, text_sources
from mmx_kit.span import SPAN
from mmx_kit.training import train

TRAVELLING: Final = ("dataset", "image_transform", "text_transform", "tokenizer")
"""The kinds that are sent to data workers."""
LOOKED_AT: Final = 12
"""Samples of a dataset that are read; more would make the check of a large one slow."""


def needs(case: Case) -> tuple[Any, ...]:
    """Return what the part's class takes after its options."""
    unknown = [name for name in case.entry.row.needs if name not in _GIVEN]
    if unknown:
        raise NotApplicableError(f"a {case.kind} is built with its {unknown[0]}, which the kit has none of")
    return tuple(_GIVEN[name](case) for name in case.entry.row.needs)


def _sizes(case: Case) -> Sizes:
    """Return what is known where a part of the kind is built: encoders come first, then the fusion, then all else."""
    if case.kind in ("image_encoder", "text_encoder"):
        return SIZES
    model = partner_model()
    return widths(model.image_encoder, model.text_encoder) if case.kind == "fusion" else sizes_of(model)


def fresh(case: Case, **options: Any) -> Any:
    """Build the part with what its kind needs."""
    return case.build(*needs(case), **options)


def evaluated(case: Case) -> Dataset:
    """Return the dataset that its example options name, or the kit's labelled one."""
    config = cast("EvaluatorConfig", case.config).data if case.kind == "evaluator" else None
    return PartnerDataset() if config is None else cast(Dataset, case.registries.build("dataset", config))


def outcome(case: Case, part: Any) -> object:
    """Use a part as the core does. Towers, fusions and losses have checks of their own, and are only built."""
    if case.kind in TRAVELLING:
        return made(case.kind, part, is_derived(case))
    if case.kind == "evaluator":
        return measured(cast(Evaluator, part))
    if case.kind == "schedule":
        return [cast(Schedule, part).at(step) for step in range(SPAN.steps)]
    if case.kind == "optimizer":
        return stepped(cast(Optimizer, part))
    if case.kind == "tracker":
        return live(part, case.folder / "run")
    return train(part, 2) if case.kind == "engine" else None


_GIVEN: Final[Mapping[str, Callable[[Case], Any]]] = {
    "sizes": _sizes,
    "preprocess": lambda case: PREPROCESS,
    "tokenizer": lambda case: PartnerTokenizer(),
    "dataset": evaluated,
    "span": lambda case: SPAN,
}
"""What parts are given after their options, by the name that their kind has for it."""


def stepped(optimizer: Optimizer) -> list[float]:
    """Return a parameter after three steps."""
    parameter = torch.nn.Parameter(torch.ones(3, 2))
    made = optimizer.over([{"params": [parameter], "lr": 0.1, "weight_decay": 0.1}])
    for step in range(3):
        parameter.grad = torch.full_like(parameter, step - 1.0)
        made.step()
    return parameter.detach().flatten().tolist()


def is_derived(case: Case) -> bool:
    """Say whether a transform is made from another view's row rather than from the sample."""
    return isinstance(case.config, TransformConfig) and case.config.of is not None


def made(kind: str, part: Any, derived: bool) -> object:
    """Return what a part that travels to data workers makes of fixed inputs."""
    match kind:
        case "dataset":
            return tuple(read(part, index) for index in looked_at(part))
        case "image_transform":
            return tuple(image_row(part, source) for source in image_sources(derived).values())
        case "text_transform":
            return tuple(text_row(part, source) for source in text_sources(derived).values())
        case _:
            tokens = cast(Tokenizer, part)
            return tuple(tuple(tokens.encode(text)) for text in CAPTIONS)


def looked_at(dataset: Dataset) -> list[int]:
    """Return up to a dozen indices at equal distances, the first and the last among them."""
    count = len(dataset)
    shown = min(count, LOOKED_AT)
    return [place * (count - 1) // max(1, shown - 1) for place in range(shown)]


def read(dataset: Dataset, index: int) -> object:
    """Return a sample as plain values, or the message of a bad one."""
    try:
        sample = dataset.read(index)
    except BadSampleError as error:
        return f"bad sample: {error}"
    pictures = [picture for picture in (sample.image, *sample.more) if picture is not None]
    images = tuple((picture.size, picture.convert("RGB").tobytes()) for picture in pictures)
    return sample.key, images, sample.texts, tuple(sorted(sample.facts.items())), tuple(sorted(sample.roles.items()))


def image_row(transform: ImageTransform, source: Any, seed: int = 0) -> object:
    """Return the row of one source as plain values, or the message of a bad sample."""
    try:
        return row_values(transform(source, torch.Generator().manual_seed(seed)))
    except BadSampleError as error:
        return f"bad sample: {error}"


def text_row(transform: TextTransform, source: Any, seed: int = 0) -> object:
    """Return the row of one source as plain values, or the message of a bad sample."""
    try:
        return row_values(transform(source, torch.Generator().manual_seed(seed)))
    except BadSampleError as error:
        return f"bad sample: {error}"


def row_values(row: PixelRow | WordRow) -> object:
    """Return the tensors of a row as plain values."""
    tensors = (row.pixels, row.hidden, row.labels) if isinstance(row, PixelRow) else (row.ids, row.mask, row.labels)
    facts = tuple(sorted(row.facts.items())) if isinstance(row, WordRow) else ()
    return *(None if t is None else (str(t.dtype), tuple(t.shape), t.numpy().tobytes()) for t in tensors), facts


def subject(seed: int = 0) -> EvalModel:
    """Return a small untrained model to evaluate."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EvalModel(partner_model().eval(), PartnerTokenizer(), PREPROCESS)


def measured(evaluator: Evaluator, seed: int = 0) -> dict[str, float]:
    """Return the numbers that an evaluator finds for an untrained model."""
    return values(evaluate(evaluator, subject(seed)))


def evaluate(evaluator: Evaluator, model: EvalModel) -> Result:
    """Evaluate as the core does: in evaluation mode, without gradient."""
    with torch.no_grad():
        return evaluator.evaluate(model)


def values(result: Result) -> dict[str, float]:
    """Return the values of a result's numbers by name."""
    return {name: number.value for name, number in result.numbers.items()}
