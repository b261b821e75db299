"""The stream of a dataset as training reads it: whole, from the middle on, and with workers."""

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final, final

import torch
from PIL import Image
from typing_extensions import override

from mmx.data.loader import stream
from mmx.data.order import Order
from mmx.data.pixels import preprocess
from mmx.data.views import ImageView, Reader, StepData, TextView
from mmx.parts.dataset import BadSampleError, Dataset
from mmx.parts.transform import ImageTransform, PixelRow, TextTransform, WordRow
from mmx_kit.check import BrokenError
from mmx_kit.partners import PREPROCESS
from mmx_kit.samples import PartnerTokenizer

_STEPS: Final = 6
_BATCH: Final = 4
_WORKERS: Final = 2


@final
class Squared(ImageTransform):
    """The picture as the model wants it."""

    @override
    def __call__(self, source: "Image.Image | PixelRow", draw: torch.Generator) -> PixelRow:
        return source if isinstance(source, PixelRow) else PixelRow(preprocess(source, PREPROCESS))


@final
class Drawn(TextTransform):
    """One of the captions; the number of them matters, and their order."""

    @override
    def __call__(self, source: "tuple[str, ...] | WordRow", draw: torch.Generator) -> WordRow:
        if isinstance(source, WordRow):
            return source
        if not source:
            raise BadSampleError("has no caption")
        words = PartnerTokenizer()([source[int(torch.randint(len(source), (), generator=draw))]])
        return WordRow(words.ids[0], words.mask[0])


@dataclass(frozen=True)
class Plan:
    """One way to read the same steps."""

    what: str
    start: int
    workers: int


_PLANS: Final = (
    Plan("from the middle on, as a resumed run does", _STEPS // 2, 0),
    Plan(f"with {_WORKERS} workers", 0, _WORKERS),
    Plan(f"from the middle on with {_WORKERS} workers", _STEPS // 2, _WORKERS),
)


def compare_streams(build: Callable[[], Dataset]) -> None:
    """Read a few steps in several ways, each with a new dataset.

    Raises:
        BrokenError: a step has other samples, pixels, words or facts than in an unbroken run in one process.
    """
    steps = _plain_steps(build(), 0, 0)
    for plan in _PLANS:
        for step, found in enumerate(_plain_steps(build(), plan.start, plan.workers), start=plan.start):
            for name, value in steps[step].items():
                if not _equal(found.get(name), value):
                    raise BrokenError(
                        f"read {plan.what}, step {step} differs in its {name}: {_told(value, found.get(name))}"
                    )


def _plain_steps(dataset: Dataset, start: int, workers: int) -> list[dict[str, object]]:
    has_texts = _has_texts(dataset)
    texts = {"clean": TextView(Drawn(), None)} if has_texts else {}
    reader = Reader(dataset, {"clean": ImageView(Squared(), None)}, texts, seed=3)
    order = Order(len(dataset), min(_BATCH, len(dataset)), seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the loader's, on machines of few cores
        with closing(stream(reader, order, start, _STEPS, workers, pin=False)) as found:
            return [_plain(loaded) for loaded in found]


def _has_texts(dataset: Dataset) -> bool:
    for index in range(len(dataset)):
        try:
            return bool(dataset.read(index).texts)
        except BadSampleError:
            continue
    return False


def _plain(loaded: StepData) -> dict[str, object]:
    batch = loaded.batch
    return {
        "keys": tuple(batch.keys),
        "bad samples": tuple((bad.key, bad.reason) for bad in loaded.bad),
        "pixels": tuple(view.pixels for view in batch.images.values()),
        "words": tuple(view.ids for view in batch.texts.values()),
        "facts": tuple(batch.facts[name] for name in sorted(batch.facts)),
    }


def _equal(one: object, other: object) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return one == other


def _told(expected: object, found: object) -> str:
    told = f"{expected} became {found}"
    return told if len(told) < 400 else "it depends on who reads, or on what was read before"
