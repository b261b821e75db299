"""Transforms: a row is a function of the source and of ``draw`` alone, whatever a dataset may give."""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from mmx.parts.dataset import BadSampleError
from mmx.parts.transform import PairedTextTransform, PixelRow, WordRow
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError
from mmx_kit.globals_kept import restored
from mmx_kit.partners import SIZES
from mmx_kit.sources import SECONDS, image_sources, odd_pictures, odd_texts, text_sources
from mmx_kit.uses import fresh, image_row, is_derived, row_values, text_row

_IMAGE: Final = ("image_transform",)
_TEXT: Final = ("text_transform",)
_BOTH: Final = (*_IMAGE, *_TEXT)
_SEEDS: Final = (0, 1, 2)


def _row(case: Case) -> Callable[[Any, Any, int], object]:
    return image_row if case.kind == "image_transform" else text_row


def _sources(case: Case) -> Mapping[str, Any]:
    """Return common sources; new objects at each call."""
    sources = image_sources if case.kind == "image_transform" else text_sources
    return sources(is_derived(case))


def _draws(case: Case) -> None:
    transform, row = fresh(case), _row(case)
    first = {(name, seed): row(transform, source, seed) for name, source in _sources(case).items() for seed in _SEEDS}
    backwards = list(_sources(case).items())[::-1]
    with restored():
        torch.manual_seed(91)
        np.random.seed(91)
        random.seed(91)
        for what, other in (("made again, after others", transform), ("made by a new instance", fresh(case, seed=1))):
            for name, source in backwards:
                for seed in _SEEDS[::-1]:
                    if row(other, source, seed) != first[name, seed]:
                        raise BrokenError(f"the row of {name} is another one when it is {what}, with the same draw")


def _source_kept(case: Case) -> None:
    transform = fresh(case)
    for name, source in _sources(case).items():
        before = _plain(source)
        row = transform(source, torch.Generator().manual_seed(0))
        if _plain(source) != before:
            raise BrokenError(f"it changes {name}, its source; other views are made from it too")
        if isinstance(row, PixelRow) and isinstance(source, Image.Image):
            row.pixels.bitwise_not_()
            if _plain(source) != before:
                raise BrokenError(f"who writes into the row of {name} changes the picture; copy its pixels")


def _depends(case: Case) -> None:
    transform, row = fresh(case), _row(case)
    rows = [row(transform, source, 0) for source in _sources(case).values()]
    if all(found == rows[0] for found in rows):
        raise BrokenError("its row is the same for every source: expected that pictures or texts can be told apart")


def _odd(case: Case) -> None:
    transform = fresh(case)
    odd = odd_texts(is_derived(case)) if case.kind == "text_transform" else _odd_images(case)
    for name, source in odd.items():
        for seed in _SEEDS:
            try:
                row = transform(source, torch.Generator().manual_seed(seed))
            except BadSampleError:
                continue
            except Exception as error:
                raise BrokenError(
                    f"on {name}: {type(error).__name__}: {error}; expected a row or BadSampleError"
                ) from error
            _check_row(case, name, row)


def _odd_images(case: Case) -> Mapping[str, Any]:
    return image_sources(derived=True) if is_derived(case) else odd_pictures()


def _rows(case: Case) -> None:
    transform = fresh(case)
    shapes = set[tuple[int, ...]]()
    for name, source in _sources(case).items():
        for seed in _SEEDS:
            row = transform(source, torch.Generator().manual_seed(seed))
            _check_row(case, name, row)
            shapes.add(tuple(row.pixels.shape if isinstance(row, PixelRow) else row.ids.shape))
    if len(shapes) > 1:
        raise BrokenError(f"rows have several shapes, {sorted(shapes)}, and cannot be stacked to a batch")


def _second(case: Case) -> None:
    transform = fresh(case)
    if not isinstance(transform, PairedTextTransform):
        raise NotApplicableError("it reads no second sample")
    source: Any = next(iter(_sources(case).values()))
    made = {name: _paired(transform, source, second, 0) for name, second in SECONDS.items()}
    for name, row in made.items():
        _check_words(f"the first caption with {name}", row)
        if row_values(_paired(fresh(case, seed=1), source, SECONDS[name], 0)) != row_values(row):
            raise BrokenError(f"the row made with {name} is another one when it is made again, with the same draw")
    if len({repr(row_values(row)) for row in made.values()}) == 1:
        raise BrokenError("its row is the same for every second sample")
    facts = {tuple(sorted(row.facts)) for row in (*made.values(), transform(source, torch.Generator().manual_seed(0)))}
    if len(facts) > 1:
        raise BrokenError(f"rows with and without a second sample have other facts: {sorted(facts)}")


def _paired(transform: PairedTextTransform, source: Any, second: tuple[str, ...], seed: int) -> WordRow:
    draw = torch.Generator().manual_seed(seed)
    transform.wants(draw)
    return transform.paired(source, second, draw)


def _check_row(case: Case, name: str, row: Any) -> None:
    if case.kind == "image_transform":
        _check_pixels(name, row)
    else:
        _check_words(name, row)


def _check_pixels(name: str, row: Any) -> None:
    if not isinstance(row, PixelRow):
        raise BrokenError(f"{name}: expected a PixelRow, found a {type(row).__name__}")
    pixels = row.pixels
    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[0] != 3:
        raise BrokenError(f"{name}: pixels are uint8 of shape 3 h w, found {pixels.dtype} of {tuple(pixels.shape)}")
    if row.labels is not None and (row.hidden is None or row.labels.shape != row.hidden.shape):
        raise BrokenError(f"{name}: labels go with hidden patches, one for each")
    if row.hidden is not None and (row.hidden.dtype != torch.bool or row.hidden.ndim != 1):
        raise BrokenError(
            f"{name}: hidden is a bool for each patch, found {row.hidden.dtype} {tuple(row.hidden.shape)}"
        )


def _check_words(name: str, row: Any) -> None:
    if not isinstance(row, WordRow):
        raise BrokenError(f"{name}: expected a WordRow, found a {type(row).__name__}")
    ids, mask = row.ids, row.mask
    if ids.shape != (SIZES.context,) or mask.shape != ids.shape or ids.dtype != torch.int64 or mask.dtype != torch.bool:
        raise BrokenError(
            f"{name}: ids are int64 and mask bool, both of the tokenizer's context ({SIZES.context}); found ids "
            f"{ids.dtype} {tuple(ids.shape)} and mask {mask.dtype} {tuple(mask.shape)}"
        )
    length = int(mask.sum())
    if not mask[:length].all():
        raise BrokenError(f"{name}: the mask is True for the tokens and then False: padding is on the right")
    if ids.min() < 0 or ids.max() >= SIZES.vocabulary:
        raise BrokenError(
            f"{name}: ids from {int(ids.min())} to {int(ids.max())}, the vocabulary has {SIZES.vocabulary}"
        )
    if length < 2 or ids[0] != SIZES.start or ids[length - 1] != SIZES.end:
        raise BrokenError(
            f"{name}: the tokens begin with start and end with end, also where a text was cut: {ids.tolist()}"
        )
    if not (ids[length:] == SIZES.pad).all():
        raise BrokenError(f"{name}: behind the tokens there are other ids than padding: {ids.tolist()}")
    if row.labels is not None:
        _check_labels(name, row)


def _check_labels(name: str, row: WordRow) -> None:
    labels = row.labels
    if labels is None or labels.shape != row.ids.shape or labels.dtype != torch.int64:
        raise BrokenError(f"{name}: labels are int64, one for each id")
    if not (labels[~row.mask] == -100).all():
        raise BrokenError(f"{name}: labels are -100 on padding, found {labels.tolist()}")
    asked = labels[labels != -100]
    if len(asked) and (asked.min() < 0 or asked.max() >= SIZES.vocabulary):
        raise BrokenError(f"{name}: a label is an id of the vocabulary or -100, found {labels.tolist()}")


def _plain(source: object) -> object:
    if isinstance(source, Image.Image):
        return source.mode, source.size, source.tobytes()
    return row_values(source) if isinstance(source, PixelRow | WordRow) else source


TRANSFORM_CHECKS: Final = (
    Check("rows", "rows have the right types and one shape; start, end, padding and labels are in place", _BOTH, _rows),
    Check("draws", "a row depends on its source and on draw: not on other draws, nor on other rows", _BOTH, _draws),
    Check("source kept", "the source is left as it was, and rows have memory of their own", _BOTH, _source_kept),
    Check("source read", "another source gives another row", _BOTH, _depends),
    Check("second sample", "a row made with a second sample depends on it, and on draw", _TEXT, _second),
    Check("odd sources", "odd pictures and texts give a row, or BadSampleError", _BOTH, _odd),
)
