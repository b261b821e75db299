"""Checks of image and text encoders alone."""

from typing import Final, cast

import torch
from torch import Tensor, nn

from mmx.parts.batch import Encoded
from mmx.parts.encoder import ImageEncoder, TextEncoder
from mmx_kit.assembly import Assembly, assemble
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, BrokenError, Check
from mmx_kit.compare import finite, same, shape
from mmx_kit.partner_losses import VIEW
from mmx_kit.partners import ROWS

KINDS: Final = ("image_encoder", "text_encoder")
_ROUNDING: Final = 1e-5
"""Of the largest number: fp32 sums over other numbers of rows may be taken in another order."""


def shapes(case: Case) -> None:
    """Check what it returns, in fp32 and in fp64."""
    made = assemble(case, stirred=False)
    width = cast(object, getattr(made.part, "width", None))
    if not isinstance(width, int) or width < 1:
        raise BrokenError(f"`width` is {width!r}; expected the number of features of what it returns")
    for dtype in (torch.float32, torch.float64):
        made.objective.to(dtype)
        found = _encode(made)
        if not isinstance(found, Encoded):
            raise BrokenError(f"it returns {type(found).__name__}; expected mmx.parts.batch.Encoded")
        _expect("pooled", found.pooled, dtype, ROWS, width)
        _tokens(found, dtype, width)
        for index, layer in enumerate(found.layers):
            _floats(f"layers[{index}]", layer, dtype)


def _encode(made: Assembly) -> object:
    batch = made.batch()
    if isinstance(made.part, ImageEncoder):
        return made.part(made.model.normalise(batch.images[VIEW]))
    return cast(TextEncoder, made.part)(batch.texts[VIEW])


def _tokens(found: Encoded, dtype: torch.dtype, width: int) -> None:
    if found.tokens is None:
        if found.mask is not None:
            raise BrokenError("it returns a mask without tokens")
        return
    if not isinstance(found.tokens, Tensor) or found.tokens.ndim != 3:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BrokenError(f"'tokens' is {shape(found.tokens)}; expected rows, tokens and {width} features")
    count = found.tokens.shape[1]
    _expect("tokens", found.tokens, dtype, ROWS, count, width)
    if found.mask is not None and (found.mask.dtype != torch.bool or found.mask.shape != (ROWS, count)):
        raise BrokenError(
            f"'mask' is {shape(found.mask)}; expected bool [{ROWS}, {count}], as many as there are tokens"
        )


def _expect(name: str, value: object, dtype: torch.dtype, *size: int) -> None:
    expected = shape(torch.empty(size, dtype=dtype, device="meta"))
    if shape(value) != expected:
        raise BrokenError(f"'{name}' is {shape(value)}; expected {expected}")
    finite("its output", {name: cast(Tensor, value)})


def _floats(name: str, value: object, dtype: torch.dtype) -> None:
    if not isinstance(value, Tensor) or value.dtype != dtype or value.shape[0] != ROWS:
        raise BrokenError(f"'{name}' is {shape(value)}; expected {str(dtype).removeprefix('torch.')} with {ROWS} rows")


def blocks(case: Case) -> None:
    """Check that the blocks are its own modules and together hold every parameter, each once."""
    part = cast(ImageEncoder | TextEncoder, assemble(case, stirred=False).part)
    found = cast("list[object]", part.blocks())
    foreign = [type(block).__name__ for block in found if not isinstance(block, nn.Module)]
    if foreign or not found:
        raise BrokenError(f"blocks() returns {foreign or 'nothing'}; expected the tower's modules from input to output")
    seen: dict[Tensor, int] = {}
    for index, block in enumerate(cast("list[nn.Module]", found)):
        for parameter in block.parameters():
            if seen.setdefault(parameter, index) != index:
                raise BrokenError(f"blocks {seen[parameter]} and {index} of blocks() share a parameter")
    own = {parameter: name for name, parameter in part.named_parameters()}
    missed = [name for parameter, name in own.items() if parameter not in seen]
    if missed:
        raise BrokenError(
            f'blocks() miss these parameters, which train = "last:k" would not freeze: {", ".join(missed)}'
        )
    if set(seen) - set(own):
        raise BrokenError("blocks() hold parameters that the tower's own parameters() do not")


def rows(case: Case) -> None:
    """Check, in evaluation mode, that each row's output is a function of that row alone."""
    made = assemble(case)
    made.objective.eval()
    batch = made.batch()
    inputs = made.inputs(batch)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    with torch.no_grad():
        whole = made.run(inputs, batch)
        turned = made.run({name: value[order] for name, value in inputs.items()}, batch)
        few = made.run({name: value[2:4] for name, value in inputs.items()}, batch)
        other = made.run({name: torch.cat([value[:1], value[1:].roll(1, 0)]) for name, value in inputs.items()}, batch)
    same("with rows in another order: the output", turned, {k: v[order] for k, v in whole.items()}, _ROUNDING)
    same("of two rows alone: the output", few, {k: v[2:4] for k, v in whole.items()}, _ROUNDING)
    first = {name: value[:1] for name, value in other.items()}
    same("of row 0, where the other rows differ: the output", first, {k: v[:1] for k, v in whole.items()}, _ROUNDING)
    if all(torch.allclose(value[:1], value[1:]) for name, value in whole.items() if name == "pooled"):
        raise BrokenError("every row has the same pooled output, whatever it is given")


ENCODER_CHECKS: Final = (
    Check("shapes", "pooled, tokens and mask have the contract's shapes and types", KINDS, shapes),
    Check("blocks", "blocks() hold every parameter, each once", KINDS, blocks),
    Check("rows", "each row's output is a function of that row alone", KINDS, rows, DETERMINISM),
)
