"""The gap between modalities."""

from typing import final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx.errors import DataError, RecipeError
from mmx.evaluate import encode
from mmx.parts.dataset import Dataset
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
        found = encode(subject, self.dataset, self.batch, captions="first")
        images, texts = found.images, found.texts
        if images is None or texts is None or not len(images):
            raise DataError("no sample of the dataset of 'modality_gap' has a picture and a caption")
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
