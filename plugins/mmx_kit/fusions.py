"""Checks of fusions alone."""

from dataclasses import replace
from typing import Final, cast

import torch
from torch import Tensor, nn

from mmx.config import EncoderConfig
from mmx.errors import RecipeError
from mmx.parts.batch import Encoded
from mmx.parts.fusion import Ability, Fusion
from mmx_kit.assembly import Assembly, Tensors, assemble
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, BrokenError, Check, NotApplicableError
from mmx_kit.compare import finite, names, same, shape
from mmx_kit.partners import ROWS, SIZES, PartnerTexts

KINDS: Final = ("fusion",)
MOST: Final = 1000.0
"""The largest factor on cosines that ``clamp`` may leave: above it fp32 logits of like pairs round alike."""
_FAR: Final = 50.0
_SPACE: Final[tuple[Ability, ...]] = ("embed_image", "embed_text", "similarity")
_ROUNDING: Final = 1e-5


def _offering(part: Fusion, *abilities: Ability) -> None:
    """Go on only where the fusion offers this.

    Raises:
        NotApplicableError: it does not.
    """
    if not part.offers(*abilities):
        raise NotApplicableError(f"it does not offer {' and '.join(abilities)}")


def fusion_of(made: Assembly) -> Fusion:
    """Return the fusion under check."""
    return cast(Fusion, made.part)


def shapes(case: Case) -> None:
    """Check embeddings, similarity, scale and joint representation, in fp32 and in fp64."""
    made = assemble(case, stirred=False)
    _offering(fusion_of(made), *_SPACE)
    width = cast(object, getattr(made.part, "width", None))
    if not isinstance(width, int) or width < 1:
        raise BrokenError(f"`width` is {width!r}; expected the shared width, an integer")
    for dtype in (torch.float32, torch.float64):
        made.objective.to(dtype)
        found = made.outputs(made.batch())
        _expect(found, "text", dtype, (ROWS, width))
        queries = found["image"].shape[1:-1] if isinstance(found["image"], Tensor) else ()  # pyright: ignore[reportUnnecessaryIsInstance]
        _expect(found, "image", dtype, (ROWS, *queries[:1], width))
        _expect(found, "similarity", dtype, (ROWS, ROWS))
        if "scale" in found:
            _expect(found, "scale", dtype, ())
        for name, heads in (("match", (ROWS, 2)), ("words", (ROWS, SIZES.context, SIZES.vocabulary))):
            if name in found:
                _expect(found, name, dtype, heads)
        finite("its output", found)
    _oblong(made)


def _oblong(made: Assembly) -> None:
    """Check the similarity of more images than texts: evaluation and gathered features are not square."""
    found = made.outputs(made.batch())
    part = fusion_of(made)
    similarity = part.similarity(found["image"], found["text"][:2])
    if shape(similarity) != shape(found["similarity"][:, :2]):
        raise BrokenError(f"the similarity of {ROWS} images and 2 texts is {shape(similarity)}; expected [{ROWS}, 2]")
    same("the similarity with the first texts", {"": similarity}, {"": found["similarity"][:, :2]}, _ROUNDING)


def _expect(found: Tensors, name: str, dtype: torch.dtype, size: tuple[int, ...]) -> None:
    expected = shape(torch.empty(size, dtype=dtype, device="meta"))
    if shape(found[name]) != expected:
        raise BrokenError(f"'{name}' is {shape(found[name])}; expected {expected}")


def cosine(case: Case) -> None:
    """Check that embeddings have length 1, and that ``similarity[i, j]`` is the cosine of image i and text j."""
    made = assemble(case)
    _offering(fusion_of(made), *_SPACE)
    with torch.no_grad():
        found = made.outputs(made.batch())
    for name in ("image", "text"):
        apart = float((found[name].norm(dim=-1) - 1).abs().max())
        if not apart < 1e-4:
            raise BrokenError(f"embeddings of {name}s have lengths that differ from 1 by up to {apart:.3g}")
    images, texts, similarity = found["image"], found["text"], found["similarity"]
    if images.ndim == 2:
        same("the similarity and the cosine", {"": similarity}, {"": images @ texts.mT}, _ROUNDING)
        return
    each = torch.einsum("iqd,jd->ijq", images, texts)
    if bool((similarity > each.amax(-1) + 1e-4).any()) or bool((similarity < each.amin(-1) - 1e-4).any()):
        raise BrokenError("the similarity lies outside of the cosines of an image's queries with the text")


def scale(case: Case) -> None:
    """Check that the scale is positive, and stays bounded after ``clamp`` however far its parameters are pushed."""
    part = fusion_of(assemble(case, stirred=False))
    _offering(part, "scale")
    before = {name: value.clone() for name, value in part.state_dict().items()}
    with torch.no_grad():
        part.clamp()
    same("clamp() changes a fresh instance: its state", dict(part.state_dict()), before)
    _positive(part, "at the start")
    first = part.scale()
    if not first.requires_grad:
        return
    own = list(part.parameters())
    slopes = torch.autograd.grad(first, own, allow_unused=True, materialize_grads=True)
    for sign, where in ((1.0, "up"), (-1.0, "down")):
        part.load_state_dict(before)
        with torch.no_grad():
            for parameter, slope in zip(own, slopes, strict=True):
                parameter += sign * _FAR * slope.sign()
            part.clamp()
        _positive(part, f"after its parameters were pushed {where} by {_FAR:g} and clamp() was called")


@torch.no_grad()
def _positive(part: Fusion, when: str) -> None:
    found = float(part.scale())
    if not 0 < found <= MOST:
        raise BrokenError(f"scale() is {found:.4g} {when}; expected a number above 0 and at most {MOST:g}")


def reader(case: Case) -> None:
    """Check that the text encoder it is lent does not become a part of it."""
    made = assemble(case)
    part = fusion_of(made)
    own = set(part.state_dict())
    made.outputs(made.batch())
    lent = {id(module) for module in made.model.text_encoder.modules()}
    if any(id(module) in lent for module in part.modules()):
        raise BrokenError(
            "the reader (the text encoder) is a submodule of the fusion: a checkpoint would hold it twice"
        )
    weights = {id(parameter) for parameter in made.model.text_encoder.parameters()}
    if any(id(parameter) in weights for parameter in part.parameters()):
        raise BrokenError("the fusion holds parameters of the reader: a checkpoint would hold them twice")
    if set(part.state_dict()) != own:
        more = names(dict.fromkeys(set(part.state_dict()) - own))
        raise BrokenError(f"its state dict has grown by its use: {more}")
    if any(part is module for module in cast(nn.Module, made.model.text_encoder).modules()):
        raise BrokenError("the fusion has made itself a submodule of the text encoder")


def unlike_widths(case: Case) -> None:
    """Check that it joins towers of unlike widths, each way round."""
    for image_width, text_width in ((20, 28), (28, 20)):
        sizes = replace(SIZES, image_width=image_width, text_width=text_width)
        try:
            part = cast(Fusion, case.build(sizes))
        except RecipeError as error:
            raise NotApplicableError(f"it refuses towers of {image_width} and {text_width} features: {error}") from None
        _offering(part, *_SPACE)
        image = Encoded(torch.randn(ROWS, image_width), torch.randn(ROWS, 5, image_width))
        text = Encoded(torch.randn(ROWS, text_width), torch.randn(ROWS, SIZES.context, text_width))
        lent = PartnerTexts(EncoderConfig(name="partner"), SIZES)
        try:
            found = part.similarity(part.embed_image(image, lent), part.embed_text(text))
        except RuntimeError as error:
            raise BrokenError(
                f"with an image encoder of {image_width} features and a text encoder of {text_width} it fails: {error}"
            ) from error
        if found.shape != (ROWS, ROWS):
            raise BrokenError(
                f"with towers of {image_width} and {text_width} features its similarity is {shape(found)}"
            )


def rows(case: Case) -> None:
    """Check, in evaluation mode, that embeddings and joint representations of a row are functions of that row alone."""
    made = assemble(case)
    made.objective.eval()
    batch = made.batch()
    inputs = made.inputs(batch)
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    with torch.no_grad():
        whole = made.run(inputs, batch)
        turned = made.run({name: value[order] for name, value in inputs.items()}, batch)
        few = made.run({name: value[2:4] for name, value in inputs.items()}, batch)
    single = [name for name in whole if name not in ("scale", "similarity")]
    same("with rows in another order", {k: turned[k] for k in single}, {k: whole[k][order] for k in single}, _ROUNDING)
    same("of two rows alone", {k: few[k] for k in single}, {k: whole[k][2:4] for k in single}, _ROUNDING)
    if "similarity" not in whole:
        return
    expected = {"similarity": whole["similarity"][order][:, order]}
    same("with rows in another order", {"similarity": turned["similarity"]}, expected, _ROUNDING)
    expected = {"similarity": whole["similarity"][2:4, 2:4]}
    same("of two rows alone", {"similarity": few["similarity"]}, expected, _ROUNDING)


FUSION_CHECKS: Final = (
    Check("shapes", "embeddings, similarity, scale and heads have the contract's shapes and types", KINDS, shapes),
    Check("cosine", "embeddings have length 1, and similarity[i, j] is their cosine", KINDS, cosine),
    Check("scale", "the scale is positive, and bounded once clamped", KINDS, scale),
    Check("reader", "the text encoder that it is lent does not become a part of it", KINDS, reader),
    Check("widths", "it works with towers of unlike widths", KINDS, unlike_widths),
    Check("rows", "each row's embedding is a function of that row alone", KINDS, rows, DETERMINISM),
)
