"""``--dry-run``: what a run would need, measured on this machine with a few rows; nothing is trained or written."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from mmx.data.budget import named
from mmx.data.loader import stream
from mmx.errors import DataError
from mmx.learn.objective import MicroBatchTerm
from mmx.models.build import parameters_of
from mmx.parts.batch import Batch
from mmx.runs.request import RunResult
from mmx.train.experiment import Experiment
from mmx.train.prepare import Prepared
from mmx.wording import duration, many, summed

ENOUGH: Final = 1.0
"""Seconds of a measurement that can be trusted."""
_GIB: Final = 2**30


@dataclass(frozen=True)
class Measured:
    """What a forward and backward over some rows took."""

    batch: int
    """Rows of the step that they are of."""
    share: float
    """Share of all steps that are such ones."""
    reading: float
    """Seconds that reading one row took."""
    rows: int
    seconds: float
    saved_bytes: int
    """Bytes that autograd kept between forward and backward."""


def dry_run(experiment: Experiment, prepared: Prepared, say: Callable[[str], None]) -> RunResult:
    """Measure and print parameters, memory, steps and time.

    Raises:
        DataError: the first batch cannot be trained on.
    """
    say("reading the first batch and timing a few rows; nothing is trained")
    measured = [_of_sort(experiment, step, share) for step, share in experiment.order.sorts()]
    total, trained = parameters_of(experiment.objective.model)
    facts = _facts(experiment, measured, total, trained)
    if not prepared.request.json:
        print(_table(facts, experiment))
    return RunResult(0, facts)


def _of_sort(experiment: Experiment, step: int, share: float) -> Measured:
    """Measure a step; where sources take turns, there is one of each turn."""
    experiment.reader[experiment.order.tickets(step)[0]]  # opens files and builds tables once
    started = time.monotonic()
    loaded = next(stream(experiment.reader, experiment.order, step, step + 1, 0, pin=False))
    if len(loaded.batch.keys) < experiment.recipe.train.micro_batches:
        raise DataError(f"the first batch has too few good samples to train on. Bad ones: {named(loaded.bad)}")
    reading = (time.monotonic() - started) / len(loaded.batch.keys)
    found = _measure(experiment, loaded.batch.to(experiment.engine.device))
    return replace(found, batch=experiment.order.rows(step), share=share, reading=reading)


def _measure(experiment: Experiment, batch: Batch) -> Measured:
    """Double the rows until a forward and backward takes long enough, or the micro-batch is reached."""
    most = len(batch.keys) // experiment.recipe.train.micro_batches
    rows = min(4, most)
    while True:
        measured = _once(experiment, batch.select(slice(0, rows)))
        if rows == most or measured.seconds >= ENOUGH:
            return _once(experiment, batch.select(slice(0, rows)))
        rows = min(most, 2 * rows)


def _once(experiment: Experiment, batch: Batch) -> Measured:
    objective, device = experiment.objective, experiment.engine.device
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    started = time.monotonic()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scalar = objective(batch, MicroBatchTerm(objective.count(batch)))
    scalar.backward()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.monotonic() - started
    objective.zero_grad(set_to_none=True)
    weights = sum(p.untyped_storage().nbytes() for p in objective.parameters())
    return Measured(0, 0.0, 0.0, len(batch.keys), seconds, max(0, sum(kept.values()) - weights))


def _facts(
    experiment: Experiment, measured: Sequence[Measured], total: int, trained: int
) -> dict[str, float | int | str]:
    train = experiment.recipe.train
    # Accumulation runs each forward twice; a backward costs about two forwards.
    factor = 4 / 3 if train.micro_batches > 1 else 1.0
    workers = experiment.recipe.data.workers
    compute = sum(one.share * one.batch * one.seconds / one.rows * factor for one in measured)
    wait = sum(one.share * one.batch * one.reading for one in measured)
    step = compute + wait if workers == 0 else max(compute, wait / workers)
    batch = sum(one.share * one.batch for one in measured)
    saved = max(one.saved_bytes * one.batch / train.micro_batches / one.rows for one in measured)
    state = sum(p.numel() * p.element_size() for p in experiment.objective.parameters())
    learned = sum(p.numel() * p.element_size() for p in experiment.objective.parameters() if p.requires_grad)
    kept = experiment.recipe.optim.kept()
    memory = state + (1 + kept) * learned + saved
    return {
        "recipe": experiment.recipe.name,
        "device": experiment.engine.describe(),
        "parameters": total,
        "trained": trained,
        "samples": experiment.order.samples,
        "batch": round(batch),
        "micro_batches": train.micro_batches,
        "steps": experiment.steps,
        "epochs": experiment.steps / experiment.order.per_epoch,
        "memory_bytes": int(memory),
        "saving_bytes": 2 * state + 3 * kept * learned,  # weights and optimizer, packed, and the largest of them twice
        "seconds_per_step": step,
        "images_per_second": batch / step,
        "data_seconds_per_image": wait / batch,
        "seconds": step * experiment.steps,
        "measured_rows": sum(one.rows for one in measured),
    }


def _table(facts: dict[str, float | int | str], experiment: Experiment) -> str:
    rows = [
        ("recipe", f"{facts['recipe']}"),
        ("losses", summed(experiment.recipe)),
        ("device", f"{facts['device']}"),
        ("parameters", f"{many(int(facts['parameters']))}, of which {many(int(facts['trained']))} are trained"),
        ("samples", f"{many(int(facts['samples']))} an epoch"),
        ("steps", f"{facts['steps']:,} of {facts['batch']} images = {facts['epochs']:.1f} epochs"),
        ("memory", f"about {float(facts['memory_bytes']) / _GIB:.2f} GiB: weights, gradients, optimizer, activations"),
        ("saving", f"about {float(facts['saving_bytes']) / _GIB:.2f} GiB of memory while a checkpoint is packed"),
        (
            "reading",
            f"{1000 * float(facts['data_seconds_per_image']):.2f} ms an image, {experiment.recipe.data.workers} workers",
        ),
        ("speed", f"about {facts['images_per_second']:.3g} images/s"),
        ("time", f"about {duration(float(facts['seconds']))}, evaluation and checkpoints not counted"),
    ]
    lines = [f"{name:<12}{value}" for name, value in rows]
    if int(facts["measured_rows"]) < sum(experiment.order.rows(step) for step, _ in experiment.order.sorts()):
        lines.append(f"measured with {facts['measured_rows']} rows and scaled up")
    return "\n".join([*lines, "nothing was trained"])
