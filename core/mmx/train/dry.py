"""``--dry-run``: what a run would need, measured on this machine with a few rows; nothing is trained or written."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch

from mmx.data.budget import named
from mmx.data.loader import stream
from mmx.data.order import Ticket
from mmx.errors import DataError
from mmx.learn.objective import MicroBatchTerm
from mmx.parts.batch import Batch
from mmx.train.build import parameters_of
from mmx.train.prepare import Prepared
from mmx.train.request import RunResult
from mmx.train.session import Built
from mmx.wording import duration, many, summed

ENOUGH: Final = 1.0
"""Seconds of a measurement that can be trusted."""
_GIB: Final = 2**30


@dataclass(frozen=True)
class Measured:
    """What a forward and backward over some rows took."""

    rows: int
    seconds: float
    saved_bytes: int
    """Bytes that autograd kept between forward and backward."""


def dry_run(built: Built, prepared: Prepared, say: Callable[[str], None]) -> RunResult:
    """Measure and print parameters, memory, steps and time.

    Raises:
        DataError: the first batch cannot be trained on.
    """
    plan = built.plan
    say("reading the first batch and timing a few rows; nothing is trained")
    plan.reader[Ticket(0, 0)]  # opens files and builds tables once
    started = time.monotonic()
    loaded = next(stream(plan.reader, plan.order, 0, 1, 0, pin=False))
    if len(loaded.batch.keys) < plan.recipe.train.micro_batches:
        raise DataError(f"the first batch has too few good samples to train on. Bad ones: {named(loaded.bad)}")
    reading = (time.monotonic() - started) / len(loaded.batch.keys)
    measured = _measure(built, loaded.batch.to(built.engine.device))
    total, trained = parameters_of(plan.objective.model)
    facts = _facts(built, measured, reading, total, trained)
    if not prepared.request.json:
        print(_table(facts, built, measured))
    return RunResult(0, facts)


def _measure(built: Built, batch: Batch) -> Measured:
    """Double the rows until a forward and backward takes long enough, or the micro-batch is reached."""
    plan = built.plan
    most = len(batch.keys) // plan.recipe.train.micro_batches
    rows = min(4, most)
    while True:
        measured = _once(built, _first(batch, rows))
        if rows == most or measured.seconds >= ENOUGH:
            return _once(built, _first(batch, rows))
        rows = min(most, 2 * rows)


def _once(built: Built, batch: Batch) -> Measured:
    objective, device = built.objective, built.engine.device
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
    return Measured(len(batch.keys), seconds, max(0, sum(kept.values()) - weights))


def _first(batch: Batch, rows: int) -> Batch:
    cut = slice(0, rows)
    return replace(
        batch,
        images={name: view.select(cut) for name, view in batch.images.items()},
        texts={name: view.select(cut) for name, view in batch.texts.items()},
        facts={name: fact[cut] for name, fact in batch.facts.items()},
        keys=batch.keys[:rows],
    )


def _facts(built: Built, measured: Measured, reading: float, total: int, trained: int) -> dict[str, float | int | str]:
    plan, train = built.plan, built.recipe.train
    row = measured.seconds / measured.rows
    # Accumulation runs each forward twice; a backward costs about two forwards.
    factor = 4 / 3 if train.micro_batches > 1 else 1.0
    workers = built.recipe.data.workers
    compute = plan.order.batch * row * factor
    wait = plan.order.batch * reading
    step = compute + wait if workers == 0 else max(compute, wait / workers)
    rows = plan.order.batch / train.micro_batches
    state = sum(p.numel() * p.element_size() for p in built.objective.parameters())
    learned = sum(p.numel() * p.element_size() for p in built.objective.parameters() if p.requires_grad)
    kept = built.recipe.optim.kept()
    memory = state + (1 + kept) * learned + measured.saved_bytes * rows / measured.rows
    return {
        "recipe": built.recipe.name,
        "device": built.engine.describe(),
        "parameters": total,
        "trained": trained,
        "samples": plan.order.samples,
        "batch": plan.order.batch,
        "micro_batches": train.micro_batches,
        "steps": plan.steps,
        "epochs": plan.steps / plan.order.per_epoch,
        "memory_bytes": int(memory),
        "saving_bytes": 2 * state + 3 * kept * learned,  # weights and optimizer, packed, and the largest of them twice
        "seconds_per_step": step,
        "images_per_second": plan.order.batch / step,
        "data_seconds_per_image": reading,
        "seconds": step * plan.steps,
        "measured_rows": measured.rows,
    }


def _table(facts: dict[str, float | int | str], built: Built, measured: Measured) -> str:
    rows = [
        ("recipe", f"{facts['recipe']}"),
        ("losses", summed(built.recipe)),
        ("device", f"{facts['device']}"),
        ("parameters", f"{many(int(facts['parameters']))}, of which {many(int(facts['trained']))} are trained"),
        ("samples", f"{many(int(facts['samples']))} an epoch"),
        ("steps", f"{facts['steps']:,} of {facts['batch']} images = {facts['epochs']:.1f} epochs"),
        ("memory", f"about {float(facts['memory_bytes']) / _GIB:.2f} GiB: weights, gradients, optimizer, activations"),
        ("saving", f"about {float(facts['saving_bytes']) / _GIB:.2f} GiB of memory while a checkpoint is packed"),
        (
            "reading",
            f"{1000 * float(facts['data_seconds_per_image']):.2f} ms an image, {built.recipe.data.workers} workers",
        ),
        ("speed", f"about {facts['images_per_second']:.3g} images/s"),
        ("time", f"about {duration(float(facts['seconds']))}, evaluation and checkpoints not counted"),
    ]
    lines = [f"{name:<12}{value}" for name, value in rows]
    if measured.rows < int(facts["batch"]):
        lines.append(f"measured with {measured.rows} rows and scaled up")
    return "\n".join([*lines, "nothing was trained"])
