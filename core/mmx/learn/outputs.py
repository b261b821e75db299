"""One micro-batch through one model: each tower runs once a view, whatever number of losses read it."""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast, final

import torch
from jaxtyping import Int, Shaped
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
    """Memoised forward passes over one micro-batch.

    Whether they carry gradient is fixed when they are made: a value first asked for under ``no_grad`` and kept
    would otherwise cut the gradient of whoever asks next.

    Args:
        model: the student.
        batch: the micro-batch.
        teachers: other models, by name.
        grad: whether the passes carry gradient.
        given: what towers made of views already, such as ``("image", "clean")``.
    """

    def __init__(
        self, model: Model, batch: Batch, teachers: Mapping[str, Model], grad: bool, given: Given | None = None
    ) -> None:
        self.model = model
        self.batch = batch
        self._teachers = teachers
        self._grad = grad
        self._kept: dict[tuple[str, ...], Encoded | Joint | Tensor] = {}
        for key, found in (given or {}).items():
            self._kept[key] = found
        self._of: dict[str, Outputs] = {}

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
            lambda: self._join(self.image(image_view), self.batch.texts[text_view], mode),
        )

    def pairs(
        self,
        image_view: str,
        text_view: str,
        images: Int[Tensor, " p"],
        texts: Int[Tensor, " p"],
        mode: Mode = "fuse",
    ) -> Joint:
        """Return the joint representation of re-paired rows of this micro-batch. Not memoised."""
        with torch.set_grad_enabled(self._grad):
            encoded, words = self.image(image_view), self.batch.texts[text_view]
            chosen = Words(words.ids[texts], words.mask[texts], None if words.labels is None else words.labels[texts])
            return self._join(_rows(encoded, images), chosen, mode)

    def _join(self, image: Encoded, words: Words, mode: Mode) -> Joint:
        return self.model.fusion.join(image, words, self.model.text_encoder, mode)

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
            case "fact":
                return self._fact(pull.view)

    def _fact(self, name: str) -> Shaped[Tensor, " b"]:
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


def _rows(encoded: Encoded, rows: Tensor) -> Encoded:
    return Encoded(
        encoded.pooled[rows],
        None if encoded.tokens is None else encoded.tokens[rows],
        None if encoded.mask is None else encoded.mask[rows],
    )
