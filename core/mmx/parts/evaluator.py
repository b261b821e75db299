"""The contract of evaluators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmx.learn.model import Model
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
class Subject:
    """What is evaluated: a model in evaluation mode, with what it needs to read pictures and texts."""

    model: Model
    tokenizer: Tokenizer
    preprocess: Preprocess


class Evaluator(ABC):
    """Measures a model and leaves it unchanged. Built as ``Class(config, dataset)``; dataset is its own, or None."""

    @abstractmethod
    def evaluate(self, subject: Subject) -> Result:
        """Measure. Called without gradient, the model in evaluation mode."""
