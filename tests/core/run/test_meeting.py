"""What the processes of a run agree on before each step, with processes that are a list of what each has."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast, final

import torch
from torch import Tensor
from typing_extensions import override

from mmx.learn.group import Group, SoloGroup
from mmx.learn.objective import Objective
from mmx.parts.batch import Batch
from mmx.parts.engine import Engine
from mmx.run.signals import Stop

T = TypeVar("T")
TERM, USR1 = Stop("received SIGTERM", 143), Stop("received SIGUSR1", 75)


class Rank(SoloGroup):
    """The data-parallel rank of a process that is one of several."""

    def __init__(self, rank: int) -> None:
        self.rank = rank


@final
class Told(Engine):
    """One of several processes; what the others say is known beforehand."""

    device = torch.device("cpu")
    scaled = False

    def __init__(self, number: int, row: int, others: Sequence[Callable[[int], Any]]) -> None:
        self.number, self.main = number, number == 0
        self.group: Group = Rank(row)
        self.asked = 0
        self._others = others

    @override
    def everyone(self, value: T) -> list[T]:
        answers = cast("list[T]", [self._others[self.asked](number) for number in range(10) if self._is(number)])
        answers[self.number] = value
        self.asked += 1
        return answers

    def _is(self, number: int) -> bool:
        try:
            self._others[self.asked](number)
        except IndexError:
            return False
        return True

    @override
    def describe(self) -> str:
        return "told"

    @override
    def prepare(self, objective: Objective, optimizer: torch.optim.Optimizer) -> None: ...

    @override
    def backward(self, batch: Batch, micro_batches: int) -> None: ...

    @override
    def clip(self, norm: float | None) -> float:
        return 0.0

    @override
    def step(self) -> bool:
        return True

    @override
    def weights(self) -> dict[str, Tensor]:
        return {}

    @override
    def gradients(self) -> dict[str, Tensor]:
        return {}

    @override
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {}

    @override
    def load(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None: ...
