"""Checks of what a text encoder may see: no padding, and in "decode" nothing that comes later."""

from typing import Final

import torch
from torch import Tensor

from mmx_kit.assembly import Assembly, Tensors, assemble
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, BrokenError, Check, NotApplicableError
from mmx_kit.compare import same
from mmx_kit.partners import SIZES

KINDS: Final = ("text_encoder",)
_ROUNDING: Final = 1e-5
_WHAT: Final = ("pooled", "tokens")
_PLAIN: Final = tuple(sorted(set(range(SIZES.vocabulary)) - {SIZES.pad, SIZES.start, SIZES.end}))


def padding(case: Case) -> None:
    """Check that other ids at padding change nothing but the tokens there."""
    made, inputs = _prepared(case)
    mask = inputs["mask"]
    expected = _run(made, inputs)
    found = _run(made, inputs | {"ids": torch.where(mask, inputs["ids"], _others(inputs["ids"]))})
    kept = {name: value for name, value in expected.items() if name.rpartition(".")[2] in _WHAT}
    try:
        same("with other ids at padding: the output", {name: found[name] for name in kept}, kept, _ROUNDING)
    except BrokenError as error:
        raise BrokenError(f"{error}; no token may read where the mask is False, nor may the pooled output") from None


def later(case: Case) -> None:
    """Check that in "decode" the token at each place is a function of the ids up to it."""
    made, inputs = _prepared(case)
    expected = _run(made, inputs)
    tokens = expected.get("decode.tokens")
    if tokens is None or tokens.shape[:2] != inputs["ids"].shape:
        raise NotApplicableError('it does not read in the mode "decode", or gives no token for each id')
    for place in range(1, tokens.shape[1]):
        behind = torch.arange(tokens.shape[1]) >= place
        found = _run(made, inputs | {"ids": torch.where(behind, _others(inputs["ids"]), inputs["ids"])})
        what = f'in the mode "decode", with other ids from place {place} on (they count from 0): the tokens before it'
        same(what, {"tokens": found["decode.tokens"][:, :place]}, {"tokens": tokens[:, :place]}, _ROUNDING)


def _prepared(case: Case) -> tuple[Assembly, Tensors]:
    made = assemble(case)
    made.objective.eval()
    return made, made.inputs(made.batch())


def _run(made: Assembly, inputs: Tensors) -> Tensors:
    with torch.no_grad():
        return made.run(inputs, made.batch())


def _others(ids: Tensor) -> Tensor:
    """Return another plain id for each; no start, end or padding, by which a tower may find where a text ends."""
    plain = torch.tensor(_PLAIN)
    return plain[(ids + 1 + torch.arange(ids.shape[1])) % len(plain)]


READING_CHECKS: Final = (
    Check("padding", "what stands at padding changes nothing that is read", KINDS, padding, DETERMINISM),
    Check("decode", 'in "decode", no token reads what comes later', KINDS, later, DETERMINISM),
)
