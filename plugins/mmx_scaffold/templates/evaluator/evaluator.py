"""Image-text retrieval: how often a picture finds its own text among all, and a text its picture."""

from collections.abc import Iterator, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from mmx.data.pixels import preprocess
from mmx.errors import DataError, RecipeError
from mmx.parts.batch import Pixels
from mmx.parts.dataset import BadSampleError, Dataset
from mmx.parts.evaluator import EvalModel, Evaluator, Number, Result
from mmx.parts.transform import Preprocess
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

    def __init__(self, config: ThisPartConfig, dataset: Dataset | None) -> None:
        if dataset is None:
            raise RecipeError("retrieval needs a dataset: add its table, [evaluators.NAME.data]")
        self.config = config
        self.dataset = dataset

    @override
    def evaluate(self, subject: EvalModel) -> Result:
        pieces = [_embedded(subject, rows, texts) for rows, texts in self._pieces(subject.preprocess)]
        if not pieces:
            raise DataError("no sample of the retrieval dataset has a picture and a caption that can be read")
        images, texts = (torch.cat(side) for side in zip(*pieces, strict=True))
        similarity = subject.model.fusion.similarity(images, texts).float()
        numbers: dict[str, Number] = {}
        for direction, rows in (("image_to_text", similarity), ("text_to_image", similarity.T)):
            for k in self.config.at:
                about = f"recall@{k}, {direction.replace('_', ' ')}"
                chance = min(1.0, k / len(rows))
                numbers[f"{direction}_r{k}"] = Number(recall(rows, k), chance=chance, count=len(rows), help=about)
        bad = len(self.dataset) - len(similarity)
        numbers["bad_samples"] = Number(float(bad), count=len(self.dataset), help="samples that could not be used")
        return Result(f"image_to_text_r{self.config.at[0]}", numbers)

    def _pieces(self, how: Preprocess) -> Iterator[tuple[list[Tensor], list[str]]]:
        """Yield pixels and captions, at most ``batch`` at once."""
        rows: list[Tensor] = []
        texts: list[str] = []
        for index in range(len(self.dataset)):
            try:
                sample = self.dataset.read(index)
                if sample.image is None or not sample.texts:
                    continue
                rows.append(preprocess(sample.image, how))
            except BadSampleError:
                continue
            texts.append(sample.texts[0])
            if len(rows) == self.config.batch:
                yield rows, texts
                rows, texts = [], []
        if rows:
            yield rows, texts


def _embedded(subject: EvalModel, rows: Sequence[Tensor], texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the embeddings of pictures and of texts, on the model's device."""
    device = subject.model.mean.device
    images = subject.model.embed_image(Pixels(torch.stack(list(rows)).to(device)))
    return images, subject.model.embed_text(subject.tokenizer(texts).to(device))
