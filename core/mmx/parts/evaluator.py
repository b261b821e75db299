"""The contract of evaluators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mmx.errors import RecipeError
from mmx.parts.feed import PLAIN, Feed

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
    """A picture for the report: a sample as the evaluator saw it, or one that the evaluator drew."""

    key: str
    """The sample's key, or a name."""
    png: bytes
    """A PNG file of any size; one up to 200 pixels wide is shown in a grid, a larger one by itself."""
    truth: str = ""
    guesses: tuple[Guess, ...] = ()
    """Best first."""
    rank: int | None = None
    """Rank of the truth, 1 is best; None where nothing was ranked."""
    caption: str = ""
    """What stands below it."""


Cell = str | int | float | bool | None
"""One value of a table; None where there is none."""


@dataclass(frozen=True)
class Table:
    """Rows of any shape, each as long as ``columns``."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    """One line: what it shows."""


@dataclass(frozen=True)
class Record:
    """What was measured, so that a number can be compared with the right ones only."""

    identity: str
    """sha256 of all that follows but ``versions``; one curve has numbers of one identity."""
    evaluator: Mapping[str, Any]
    """Its table of the recipe, the dataset's table in it, without what changes no number."""
    data: Mapping[str, Any]
    """``samples`` and ``keys``, the sha256 of the samples' keys in order; empty if it has no dataset."""
    about: Mapping[str, Any]
    """What the evaluator told: :attr:`Result.about`."""
    versions: Mapping[str, str]
    """Of Python, mmx and torch."""


@dataclass(frozen=True)
class Result:
    """What an evaluator found. ``headline`` names the number that ``best`` and the terminal show."""

    headline: str
    numbers: Mapping[str, Number]
    tables: Mapping[str, Table] = field(default_factory=dict[str, Table])
    """Tables by name, such as ``per_class``."""
    pictures: Mapping[str, Sequence[Picture]] = field(default_factory=dict[str, Sequence[Picture]])
    """Pictures by the name of their grid, such as ``sample`` and ``nearest_wrong``."""
    outcomes: Table | None = None
    """One row for each sample, its key first. Written to a file of its own, and not read back with the rest."""
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the numbers depend on beside the options and the dataset, such as class names and templates: JSON values."""
    record: Record | None = None
    """What was measured; filled in by whoever runs the evaluator."""


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
    feed: Feed = PLAIN
    """What :mod:`mmx.evaluate` reads samples with."""

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

    def check(self, model: Model) -> None:
        """Refuse a model that cannot be measured; called before the first step. This form looks for ``needs``.

        Raises:
            RecipeError: what the model lacks.
        """
        lacking = [ability for ability in self.needs if not model.fusion.offers(ability)]
        if lacking:
            raise RecipeError(
                f"needs a model with {', '.join(f'`{ability}`' for ability in lacking)}, which the fusion "
                f"{type(model.fusion).__name__} does not offer: take this evaluator out, or use another fusion"
            )

    @abstractmethod
    def evaluate(self, subject: EvalModel) -> Result:
        """Measure. Called without gradient, the model in evaluation mode."""
