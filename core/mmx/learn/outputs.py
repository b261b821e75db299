"""One micro-batch through one model: each tower runs once a view, whatever number of losses read it."""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast, final

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mmx.errors import RecipeError
from mmx.learn.global_batch import Feature
from mmx.learn.model import Model
from mmx.parts.batch import Batch, Encoded, Joint, Pixels, Words
from mmx.parts.encoder import Mode

Given = Mapping[tuple[str, str], Encoded]
_Kept = TypeVar("_Kept", Encoded, Joint, Tensor)


@final
class Outputs:
    """Memoised forward passes over one micro-batch: each tower runs once a view, and again only where a fusion has the
    text tower read an image (``Fusion.join``). ``model`` and ``batch`` may be read too, such as ``model.fusion.match``.

    Whether they carry gradient is fixed when they are made: a value first asked for under ``no_grad`` and kept
    would otherwise cut the gradient of whoever asks next.

    Args:
        model: the student.
        batch: the micro-batch.
        teachers: other models, by name.
        grad: whether the passes carry gradient.
        given: what towers made of views already, such as ``("image", "clean")``.
        whole: whether the micro-batch has all rows of the step.
    """

    model: Model
    """The model; a loss may use its fusion's heads, such as ``outputs.model.fusion.match``."""
    batch: Batch
    """The micro-batch: views, facts, keys and the number of the step."""

    def __init__(
        self,
        model: Model,
        batch: Batch,
        teachers: Mapping[str, Model],
        grad: bool,
        given: Given | None = None,
        whole: bool = True,
    ) -> None:
        self.model = model
        self.batch = batch
        self._teachers = teachers
        self._grad = grad
        self._kept: dict[tuple[str, ...], Encoded | Joint | Tensor] = {}
        for key, found in (given or {}).items():
            self._kept[key] = found
        self._of: dict[str, Outputs] = {}
        self._whole = whole
        self.block: int | None = None
        """What the loss that is computed now says of itself (``ItemLoss.block``)."""

    def _keep(self, key: tuple[str, ...], make: Callable[[], _Kept]) -> _Kept:
        if key not in self._kept:
            with torch.set_grad_enabled(self._grad):
                self._kept[key] = make()
        return cast("_Kept", self._kept[key])

    def image(self, view: str) -> Encoded:
        """Return the image encoder's output for a view."""
        return self._keep(("image", view), lambda: self.model.encode_image(self.batch.images[view]))

    def text(self, view: str) -> Encoded:
        """Return the text encoder's output for a view, read without an image."""
        return self._keep(("text", view), lambda: self.model.encode_text(self.batch.texts[view]))

    def image_embed(self, view: str) -> Shaped[Tensor, "b *q d"]:
        """Return unit-length image embeddings of a view."""
        model = self.model
        return self._keep(("image.embed", view), lambda: model.fusion.embed_image(self.image(view), model.text_encoder))

    def text_embed(self, view: str) -> Shaped[Tensor, "b d"]:
        """Return unit-length text embeddings of a view."""
        return self._keep(("text.embed", view), lambda: self.model.fusion.embed_text(self.text(view)))

    def joint(self, image_view: str, text_view: str, mode: Mode = "fuse") -> Joint:
        """Return the joint representation of each image with the text of its row."""
        return self._keep(
            ("joint", image_view, text_view, mode),
            lambda: self._join(self.image(image_view), text_view, slice(None), mode),
        )

    def pairs(
        self,
        image_view: str,
        text_view: str,
        images: Int[Tensor, " p"],
        texts: Int[Tensor, " p"],
        mode: Mode = "fuse",
    ) -> Joint:
        """Return the joint representation of re-paired rows of this micro-batch. Not memoised.

        Raises:
            RecipeError: the loss does not say among how many rows it draws (``ItemLoss.block``), and these are not all rows.
        """
        if self.block is None and not self._whole:
            raise RecipeError(
                "re-pairs the rows of a micro-batch, which would be another loss with other micro-batches or processes: "
                "use a loss that draws among all rows (Whole.pairs), say among how many it draws (Mean.block), or set "
                "train.micro_batches = 1 and use one process"
            )
        with torch.set_grad_enabled(self._grad):
            return self._join(_rows(self.image(image_view), images), text_view, texts, mode)

    def _join(self, image: Encoded, text_view: str, texts: Tensor | slice, mode: Mode) -> Joint:
        words, fuses = self.batch.texts[text_view], mode == "fuse" and self.model.fusion.offers("fuse")
        chosen = Words(words.ids[texts], words.mask[texts], None if words.labels is None else words.labels[texts])
        return self.model.join(image, chosen, mode, _rows(self.text(text_view), texts) if fuses else None)

    def write(self, tokens: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Return logits over the vocabulary from joint text tokens, by the head of the fusion or of the text tower."""
        return self.model.fusion.write(tokens, self.model.text_encoder)

    def of(self, teacher: str) -> "Outputs":
        """Return the same micro-batch through a teacher, without gradient."""
        if teacher not in self._of:
            self._of[teacher] = Outputs(self._teachers[teacher], self.batch, {}, grad=False)
        return self._of[teacher]

    def pull(self, pull: Feature) -> Tensor:
        """Return one feature that a batch loss declared."""
        source = self if pull.by == "student" else self.of(pull.by)
        match pull.kind:
            case "image.embed":
                return source.image_embed(pull.view)
            case "text.embed":
                return source.text_embed(pull.view)
            case "image.pooled":
                return source.image(pull.view).pooled
            case "text.pooled":
                return source.text(pull.view).pooled
            case "image.tokens":
                return _tokens(source.image(pull.view), "image")
            case "text.tokens":
                return _tokens(source.text(pull.view), "text")
            case "words":
                words = self.words(pull.view)
                return torch.stack([words.ids, words.mask.to(words.ids)], dim=1)
            case "fact":
                return self.fact(pull.view)

    def fact(self, name: str) -> Shaped[Tensor, "b ..."]:
        """Return a fact of each row.

        Raises:
            RecipeError: not every sample has it.
        """
        if name not in self.batch.facts:
            known = ", ".join(self.batch.facts) or "none"
            raise RecipeError(
                f"a loss reads the fact '{name}', which not every sample has (the dataset gives: {known})"
            )
        return self.batch.facts[name]

    def pixels(self, view: str) -> Pixels:
        """Return a view's pixels, hidden patches and labels."""
        return self.batch.images[view]

    def words(self, view: str) -> Words:
        """Return a view's ids, mask and labels."""
        return self.batch.texts[view]


def _tokens(encoded: Encoded, side: str) -> Float[Tensor, "b n w"]:
    if encoded.tokens is None or (side == "image" and encoded.mask is not None):
        has = "none" if encoded.tokens is None else "unlike numbers of them"
        raise RecipeError(f"a loss joins {side}s of all rows by their tokens, and the {side} encoder returns {has}")
    return encoded.tokens


def _rows(encoded: Encoded, rows: Tensor | slice) -> Encoded:
    return Encoded(
        encoded.pooled[rows],
        None if encoded.tokens is None else encoded.tokens[rows],
        None if encoded.mask is None else encoded.mask[rows],
    )
