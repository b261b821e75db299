"""The contract of evaluators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from mmx.learn.model import Model
    from mmx.parts.fusion import Ability
    from mmx.parts.group import Group
    from mmx.parts.tokenizer import Tokenizer
    from mmx.parts.transform import Preprocess


@dataclass(frozen=True)
class Number:
    """A measured number, with what is needed to judge it. Fractions are 0 to 1."""

    value: float
    low: float | None = None
    high: float | None = None
    """The 95 % interval."""
    chance: float | None = None
    count: int | None = None
    """How many samples it was measured on."""
    help: str = ""
    """One line: what was measured."""


@dataclass(frozen=True)
class Guess:
    """One name and its score, for a picture's row of guesses."""

    name: str
    score: float


@dataclass(frozen=True)
class Picture:
    """A sample as the evaluator saw it, for the report."""

    key: str
    png: bytes
    truth: str
    guesses: tuple[Guess, ...]
    """Best first."""
    rank: int
    """Rank of the truth, 1 is best."""


@dataclass(frozen=True)
class Result:
    """What an evaluator found. ``headline`` names the number that ``best`` and the terminal show."""

    headline: str
    numbers: Mapping[str, Number]
    tables: Mapping[str, Sequence[Mapping[str, str | float | int]]] = field(
        default_factory=dict[str, Sequence[Mapping[str, str | float | int]]]
    )
    """Rows by table name, such as ``per_class``."""
    pictures: Mapping[str, Sequence[Picture]] = field(default_factory=dict[str, Sequence[Picture]])
    """Pictures by the name of their grid, such as ``sample`` and ``nearest_wrong``."""


@dataclass(frozen=True)
class EvalModel:
    """What is evaluated: a model in evaluation mode, with what it needs to read pictures and texts.

    Where there are several processes, each evaluates. One that encodes only its own :meth:`share` of the samples, and
    then gathers, gives the numbers of one process; one that encodes them all gives them too, and takes longer.
    """

    model: Model
    tokenizer: Tokenizer
    preprocess: Preprocess
    group: Group | None = None
    """The data-parallel ranks; None where there is one."""

    def share(self, count: int) -> range:
        """Return which of ``count`` samples this rank encodes. The ranks' shares together are all, each once."""
        rank, size = (0, 1) if self.group is None else (self.group.rank, self.group.size)
        return range(count * rank // size, count * (rank + 1) // size)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows ``b ...`` of all ranks in their order, whatever the number that each has."""
        if self.group is None or self.group.size == 1:
            return rows
        import torch

        counts: list[int] = self.group.gather(torch.tensor([len(rows)], device=rows.device)).tolist()
        most = max(counts)
        padded = torch.cat([rows, rows.new_zeros(most - len(rows), *rows.shape[1:])])
        pieces = self.group.gather(padded).unflatten(0, (self.group.size, most))
        return torch.cat([piece[:count] for piece, count in zip(pieces, counts, strict=True)])


class Evaluator(ABC):
    """Measures a model and leaves it unchanged. Built as ``Class(config, dataset)``; dataset is its own, or None."""

    needs: ClassVar[tuple[Ability, ...]] = ()
    """Methods of the fusion that it calls. A model whose fusion does not offer them is refused before the first step."""

    @abstractmethod
    def evaluate(self, subject: EvalModel) -> Result:
        """Measure. Called without gradient, the model in evaluation mode."""
