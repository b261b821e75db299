"""The gap between modalities."""

from collections.abc import Iterator
from typing import final

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from typing_extensions import override

from mmx.data.pixels import preprocess
from mmx.errors import DataError, RecipeError
from mmx.parts.batch import Pixels
from mmx.parts.dataset import BadSampleError, Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx_geometry.centres import Centre
from mmx_geometry.configs import ModalityGapConfig


@final
class ModalityGap(Evaluator):
    """The distance between the centres of images and of texts (Liang et al. 2022, arXiv:2203.02053, section 2).

    A centre is the mean, as in the paper, or what a part of the kind ``centre`` says.

    The headline is alignment, the mean cosine of a picture and its first caption, of which more is better.
    """

    def __init__(self, config: ModalityGapConfig, dataset: Dataset | None) -> None:
        if dataset is None:
            raise RecipeError("the evaluator 'modality_gap' needs a dataset: add its table, [evaluators.NAME.data]")
        self.batch = config.batch
        self.centre: Centre | None = None if config.centre is None else config.centre.build()
        self.dataset = dataset

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        pairs = [self._embed(subject, piece) for piece in self._pieces()]
        if not pairs:
            raise DataError("no sample of the dataset of 'modality_gap' has a picture and a caption")
        images, texts = (torch.cat(side) for side in zip(*pairs, strict=True))
        gap = float((self._middle(images) - self._middle(texts)).norm())
        alignment = float((images * texts).sum(dim=1).mean())
        return Result(
            headline="alignment",
            numbers={
                "alignment": Number(alignment, count=len(images), help="mean cosine of a picture and its caption"),
                "gap": Number(gap, count=len(images), help="distance between the centres of pictures and of captions"),
            },
        )

    def _middle(self, points: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
        return points.mean(dim=0) if self.centre is None else self.centre.of(points)

    def _pieces(self) -> Iterator[list[tuple[Image.Image, str]]]:
        """Yield pictures and captions; samples without both are left out."""
        piece: list[tuple[Image.Image, str]] = []
        for index in range(len(self.dataset)):
            try:
                sample = self.dataset.read(index)
            except BadSampleError:
                continue
            if sample.image is not None and sample.texts:
                piece.append((sample.image, sample.texts[0]))
            if len(piece) == self.batch:
                yield piece
                piece = []
        if piece:
            yield piece

    def _embed(
        self, subject: EvalModel, piece: list[tuple[Image.Image, str]]
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"]]:
        device = subject.model.mean.device
        pixels = torch.stack([preprocess(picture, subject.preprocess) for picture, _ in piece])
        words = subject.tokenizer([caption for _, caption in piece])
        return subject.model.embed_image(Pixels(pixels.to(device))), subject.model.embed_text(words.to(device))
