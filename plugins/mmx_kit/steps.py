"""Training steps with a part in them: in micro-batches, on two processes, with dropout replayed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import torch
import torch.distributed as dist

from mmx.config import PartConfig
from mmx.learn.accumulate import Worker, accumulate, inexact
from mmx.learn.objective import Features, MicroBatchTerm
from mmx.learn.rng import RandomState
from mmx.parts.batch import Batch
from mmx.parts.group import Group, TorchGroup
from mmx.plugin.registry import Entry, Registries
from mmx_kit.assembly import MODEL_KINDS, Assembly, Tensors, assemble, named
from mmx_kit.case import Case
from mmx_kit.check import DETERMINISM, Check, NotApplicableError
from mmx_kit.compare import same, same_arrays, seeded
from mmx_kit.layouts import Alone, Arrays, Replicated, freeze_unreached, gradients, here, known_group, world
from mmx_kit.partners import ROWS
from mmx_kit.ranks import RANKS
from mmx_kit.widened import Widened

STEPS: Final = 2


@dataclass(frozen=True)
class Trained:
    """What one rank saw of some steps."""

    losses: list[Arrays]
    """By step, then loss: the mean over ranks."""
    gradients: list[Arrays]
    """By step."""
    state: Arrays
    """Weights, queues and teachers after the last step."""


def take_steps(made: Assembly, batches: list[Batch], micro_batches: int = 1, worker: Worker | None = None) -> Trained:
    """Take plain SGD steps on the batches of this rank."""
    objective = made.objective
    trained = [p for p in objective.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.1) if trained else None
    losses: list[Arrays] = []
    found: list[Arrays] = []
    for batch in batches:
        with Widened():
            accumulate(worker or Alone(objective), objective, batch, micro_batches)
        group = objective.group
        losses.append({name: (group.sum(part) / group.size).numpy().copy() for name, part in objective.parts.items()})
        found.append(gradients(objective))
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
        objective.after_step(batch)
    return Trained(losses, found, {name: v.numpy().copy() for name, v in objective.state_dict().items()})


def check_alike(what: str, found: Trained, expected: Trained) -> None:
    """Check that two layouts trained alike.

    Raises:
        BrokenError: they did not; the message names the step and the loss, the parameter or the buffer.
    """
    for step in range(len(expected.losses)):
        same_arrays(f"{what}, step {step + 1}, the loss", found.losses[step], expected.losses[step])
        same_arrays(f"{what}, step {step + 1}, the gradient by", found.gradients[step], expected.gradients[step])
    same_arrays(f"{what}, after {len(expected.losses)} steps: the state", found.state, expected.state)


def steady(case: Case, group: Group | None = None, micro_batches: int = 1) -> Assembly:
    """Build in fp64, in training mode where that draws nothing at random, else in evaluation mode.

    Raises:
        NotApplicableError: no layout but one process and one micro-batch can be exact.
    """
    made = assemble(case, group=group)
    why = inexact(made.objective, micro_batches)
    if why is not None:
        raise NotApplicableError(why)
    made.objective.double().train(not random(made))
    return made


def random(made: Assembly) -> bool:
    """Say whether what the part computes in training mode depends on the seed; its state is put back."""
    batch = made.batch()
    before = {name: value.clone() for name, value in made.objective.state_dict().items()}
    found: list[Tensors] = []
    for seed in (1, 2):
        with seeded(seed), torch.no_grad():
            found.append(made.outputs(batch))
    made.objective.load_state_dict(before)
    return any(not torch.equal(value, found[1][name]) for name, value in found[0].items())


def accumulation(case: Case) -> None:
    """Check that steps in micro-batches are those of the whole batch, and that dropout is replayed."""
    whole = _alone(case, 1)
    for count in (2, 3, ROWS):
        check_alike(f"{ROWS} rows in {count} micro-batches", _alone(case, count), whole)
    made = assemble(case)
    made.objective.double().train()
    accumulate(Replaying(made), made.objective, made.batch(), 2)


def _alone(case: Case, micro_batches: int) -> Trained:
    made = steady(case, micro_batches=2)
    return take_steps(made, [made.batch(step=step) for step in range(STEPS)], micro_batches)


@final
class Replaying:
    """A worker that checks whether the second forward of a micro-batch draws what the first drew."""

    def __init__(self, made: Assembly) -> None:
        self._alone = Alone(made.objective)
        self._first: list[Features] = []

    def features(self, batch: Batch) -> Features:
        """Run and remember."""
        self._first.append(self._alone.features(batch))
        return self._first[-1]

    def differentiate(self, batch: Batch, share: MicroBatchTerm, last: bool) -> None:
        """Run again without gradient, compare, and go back to where the random state was."""
        before = RandomState.capture(torch.device("cpu"))
        with torch.no_grad():
            again = self._alone.features(batch)
        first = self._first.pop(0)
        same(
            "with the random state put back, the second forward of a micro-batch",
            {named(pull): value for pull, value in again.items()},
            {named(pull): value for pull, value in first.items()},
        )
        before.restore(torch.device("cpu"))
        self._alone.differentiate(batch, share, last)


@dataclass(frozen=True)
class Sent:
    """A case as it is sent to another process."""

    entry: Entry
    options: str
    folder: Path

    def case(self) -> Case:
        """Return the case there."""
        registries = Registries()
        registries[self.entry.kind].add(self.entry)
        config: PartConfig = self.entry.config.model_validate_json(self.options, context=registries)
        return Case(self.entry, config, self.folder, registries)


def processes(case: Case) -> None:
    """Check that two processes train as one does, and that only the ranks of the data-parallel group matter."""
    made = steady(case, micro_batches=2)
    rows = RANKS * ROWS
    batches = [made.batch(rows, step) for step in range(STEPS)]
    freeze_unreached(made.objective, batches[0])
    alone = take_steps(made, batches)
    sent = Sent(case.entry, case.config.model_dump_json(exclude_none=True), case.folder)
    for rank, (shared, own) in enumerate(case.pair(train_on_two, sent)):
        check_alike(f"rank {rank} of {RANKS}", shared, alone)
        check_alike(f"rank {rank} of {RANKS}, alone in its data-parallel group,", own, alone)


def train_on_two(sent: Sent) -> tuple[Trained, Trained]:
    """Train on half of the rows, and then, in a data-parallel group of this rank only, on all of them."""
    groups = [dist.new_group([rank]) for rank in range(RANKS)]
    own = known_group(groups[dist.get_rank()])
    try:
        return _train(sent, world(), None), _train(sent, TorchGroup(own), own)
    finally:
        dist.destroy_process_group(own)


def _train(sent: Sent, group: Group, ranks: dist.ProcessGroup | None) -> Trained:
    made = steady(sent.case(), group, micro_batches=2)
    batches = [here(made.batch(RANKS * ROWS, step), group) for step in range(STEPS)]
    freeze_unreached(made.objective, batches[0])
    trains = any(p.requires_grad for p in made.objective.parameters())
    return take_steps(made, batches, worker=Replicated(made.objective, ranks) if trains else None)


STEP_CHECKS: Final = (
    Check(
        "accumulation", "steps in micro-batches equal those of the whole batch", MODEL_KINDS, accumulation, DETERMINISM
    ),
    Check("processes", "two processes train as one does", MODEL_KINDS, processes, DETERMINISM),
)
