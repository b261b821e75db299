"""Pictures for the report: some test pictures, and wrong answers that were nearly right."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final, final

from jaxtyping import Int
from PIL import Image
from torch import Tensor

from mmx.parts.dataset import BadSampleError, Dataset
from mmx.parts.evaluator import EvalModel, Guess, Picture
from mmx_zeroshot.ranking import Ranked

_SIDE: Final = 96


@final
class Shown:
    """Reads and shrinks the pictures that are shown; on the first rank only, which is the one that writes.

    Args:
        subject: tells the rank.
        dataset: has the pictures.
        names: of the classes.
        found: what was found of each picture.
        rows: which of them may be shown.
    """

    def __init__(
        self, subject: EvalModel, dataset: Dataset, names: Sequence[str], found: Ranked, rows: Int[Tensor, " p"]
    ) -> None:
        self._first = subject.group is None or subject.group.rank == 0
        self._dataset, self._names, self._found, self._rows = dataset, list(names), found, rows

    def spread(self, count: int) -> list[Picture]:
        """Return up to ``count`` pictures at equal distances, the same in every evaluation."""
        rows, total = self._rows.tolist(), len(self._rows)
        return self._pictures(rows if total <= count else [rows[place * total // count] for place in range(count)])

    def nearest_wrong(self, count: int) -> list[Picture]:
        """Return up to ``count`` wrong ones, smallest gap between the best score and the truth's first."""
        wrong = self._rows[self._found.ranks[self._rows] > 1]
        gap = self._found.scores[wrong, 0] - self._found.own[wrong]
        return self._pictures(wrong[gap.argsort(stable=True)][:count].tolist())

    def _pictures(self, rows: Sequence[int]) -> list[Picture]:
        made = [self._picture(row) for row in rows] if self._first else []
        return [picture for picture in made if picture is not None]

    def _picture(self, row: int) -> Picture | None:
        found, names = self._found, self._names
        index = int(found.indices[row])
        try:
            image = self._dataset.read(index).image
        except BadSampleError:  # it could be read a moment ago
            return None
        if image is None:
            return None
        best = zip(found.guesses[row].tolist(), found.scores[row].tolist(), strict=True)
        guesses = tuple(Guess(names[name], score) for name, score in best)
        truth, rank = names[int(found.labels[row])], int(found.ranks[row])
        return Picture(self._dataset.key(index), _png(image), truth, guesses, rank)


def _png(picture: Image.Image) -> bytes:
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    small.save(data, format="PNG")
    return data.getvalue()
