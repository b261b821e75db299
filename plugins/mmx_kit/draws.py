"""Random numbers that a tower, a fusion or a loss takes from a generator that belongs to the whole process."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from mmx.parts.loss import Loss
from mmx_kit.assembly import Assembly, Tensors, assemble
from mmx_kit.case import Case
from mmx_kit.check import BrokenError
from mmx_kit.compare import seeded
from mmx_kit.globals_kept import numpy_state, restored
from mmx_kit.option_reads import sources
from mmx_kit.places import caller, lines_that_change

_DROPOUT: Final = ("dropout", "attention", "rrelu")
"""What draws in training mode by design; the core replays it. Attention has dropout of its own."""
_INSTEAD: Final = {
    "loss": "a loss draws from a generator of its own, seeded by the step, such as "
    "torch.Generator().manual_seed(whole.step): the same numbers on any number of ranks, and after resuming",
    "fusion": "a fusion draws in training mode only, and from torch's generator, which is replayed",
    "image_encoder": "a tower draws in training mode only, and from torch's generator, which is replayed",
    "text_encoder": "a tower draws in training mode only, and from torch's generator, which is replayed",
}


@dataclass(frozen=True)
class _Generator:
    """A generator of the process that is not torch's."""

    name: str
    seed: Callable[[int], object]
    read: Callable[[], object]


_PLAIN: Final = (
    _Generator("Python's global generator, 'random'", random.seed, random.getstate),
    _Generator("numpy's global generator", np.random.seed, numpy_state),
)


def refuse_draws(case: Case) -> None:
    """Check that the part draws from no global generator, but from torch's in training mode where it may.

    Raises:
        BrokenError: it does; the message names the generator and the line.
    """
    with restored():
        plain = _under(case)
        if not _alike(_under(case), plain):
            return  # no generator of the process explains it; the runs are compared next
        for generator in _PLAIN:
            if not _alike(_under(case, generator), plain):
                raise _broken(case, generator.name, _lines(case, generator))
        _refuse_torch(case)


def _refuse_torch(case: Case) -> None:
    made = assemble(case, seed=5, stirred=False)
    name = "torch's global generator"
    made.objective.eval()
    found = _drawing(made)
    if found and not _alike(*(_run(made, seed) for seed in (3, 4))):
        raise _broken(case, name, list(found))
    made.objective.train()
    own = [place for place, function in _drawing(made).items() if not any(word in function for word in _DROPOUT)]
    if own and isinstance(made.part, Loss):
        raise _broken(case, name, own)


def _broken(case: Case, generator: str, lines: Sequence[str]) -> BrokenError:
    where = f" at {', '.join(filter(None, lines))}" if any(lines) else ""
    return BrokenError(f"it draws from {generator}{where}; {_INSTEAD[case.kind]}")


def _under(case: Case, other: _Generator | None = None) -> Tensors:
    """Build and run, perhaps with one generator seeded otherwise. Type checkers draw too: a mere draw tells nothing."""
    for generator in _PLAIN:
        generator.seed(2 if generator is other else 1)
    made = assemble(case, seed=5, stirred=False)
    found = {f"state {name}": value.clone() for name, value in made.part.state_dict().items()}
    for mode in (True, False):
        made.objective.train(mode)
        found |= {f"{mode} {name}": value for name, value in _run(made, 3).items()}
    return found


def _lines(case: Case, generator: _Generator) -> list[str]:
    files = {str(path) for path in sources(case.entry)}
    return lines_that_change(generator.read, files, lambda: _under(case))


def _run(made: Assembly, seed: int) -> Tensors:
    batch = made.batch()
    with seeded(seed), torch.no_grad():
        return {name: value.clone() for name, value in made.outputs(batch).items()}


def _alike(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def _drawing(made: Assembly) -> dict[str, str]:
    """Return the functions of torch that move its generator, by the lines that call them."""
    batch = made.batch()
    inputs = made.inputs(batch)
    with seeded(3), torch.no_grad(), _Drawing() as drawing:
        made.run(inputs, batch)
    return drawing.found


@final
class _Drawing(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before: Tensor = torch.get_rng_state()
        found = func(*args, **(kwargs or {}))
        if not torch.equal(before, torch.get_rng_state()):
            self.found.setdefault(caller(), str(getattr(func, "__name__", func)))
        return found
