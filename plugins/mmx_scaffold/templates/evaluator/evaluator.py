"""Image-text retrieval: how often a picture finds its own text among all, and a text its picture."""

from typing import final

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx.errors import DataError, RecipeError
from mmx.evaluate import encode
from mmx.parts.dataset import Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx_scaffold.templates.evaluator.config import ThisPartConfig


def recall(similarity: Float[Tensor, "n n"], k: int) -> float:
    """Return the share of rows whose own column is among the k most similar: with own similarity s_ii::

    recall@k = 1/n #{i : 1 + #{j : s_ij > s_ii} <= k}
    """
    own = similarity.diagonal().unsqueeze(1)
    ranks = 1 + (similarity > own).sum(dim=1)
    return float((ranks <= k).float().mean())


@final
class ThisPart(Evaluator):
    """:func:`recall` in both directions, of each sample's picture with its first caption.

    A caption that occurs twice is found by either picture, since only a larger similarity takes a place. Samples that
    cannot be used are left out and counted.

    Raises:
        RecipeError: the recipe gives it no dataset.
    """

    needs = ("embed_image", "embed_text", "similarity")

    def __init__(self, config: ThisPartConfig, dataset: Dataset | None) -> None:
        if dataset is None:
            raise RecipeError("retrieval needs a dataset: add its table, [evaluators.NAME.data]")
        self.config = config
        self.dataset = dataset

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        found = encode(subject, self.dataset, self.config.batch, captions="first")
        if found.images is None or found.texts is None or not len(found.images):
            raise DataError("no sample of the retrieval dataset has a picture and a caption that can be read")
        device = subject.model.mean.device
        similarity = subject.model.fusion.similarity(found.images.to(device), found.texts.to(device)).float().cpu()
        numbers: dict[str, Number] = {}
        for direction, rows in (("image_to_text", similarity), ("text_to_image", similarity.T)):
            for k in self.config.at:
                about = f"recall@{k}, {direction.replace('_', ' ')}"
                chance = min(1.0, k / len(rows))
                numbers[f"{direction}_r{k}"] = Number(recall(rows, k), chance=chance, count=len(rows), help=about)
        bad = float(len(found.bad))
        numbers["bad_samples"] = Number(bad, count=len(self.dataset), help="samples that could not be used")
        return Result(f"image_to_text_r{self.config.at[0]}", numbers)
