"""Exact contrastive learning on a pipeline: features of all micro-batches, one comparison, then the gradient.

A pipeline's own loss is a mean over micro-batches, whose negatives would be those of a micro-batch. So, as in
``mmx.learn.accumulate``: 1. all micro-batches flow forward without gradient, and the last stage keeps their features;
2. it compares them all at once, with those of other data-parallel ranks; 3. the micro-batches flow again, forward and
backward, and the last stage's scalar is the sum of features times their gradients, plus the item losses' part.
"""

from collections.abc import Generator
from contextlib import contextmanager
from types import MethodType
from typing import Any, cast, final

import torch
from torch import Tensor

from mmx.learn.accumulate import joined, split
from mmx.learn.objective import Features, MicroBatchTerm, Objective
from mmx.learn.rng import RandomState
from mmx.parts.batch import Batch, Encoded
from mmx.parts.loss import BatchLoss, Loss
from mmx.parts.sharding import Staged
from mmx_colossalai.mesh import Mesh
from mmx_colossalai.stages import BY_ITSELF
from mmx_colossalai.update import Update


@final
class Pipeline:
    """Runs an objective whose towers stand on stages, through ColossalAI's one-forward-one-backward schedule."""

    def __init__(self, objective: Objective, booster: Any, wrapped: Any, mesh: Mesh) -> None:
        self._objective = objective
        self._booster = booster
        self._wrapped = wrapped
        self._mesh = mesh
        self._parts: list[Batch] = []
        self._shares: list[MicroBatchTerm] | None = None
        self._states: dict[int, RandomState] = {}
        self._features: dict[int, Features] = {}
        self._whole = objective.forward
        objective.forward = MethodType(lambda _, index, **hidden: self._stage(int(index), hidden), objective)

    def backward(self, batch: Batch, micro_batches: int, update: Update) -> None:
        """Add the gradients of one batch."""
        objective = self._objective
        counts = objective.count(batch)
        self._parts, self._shares = batch.chunk(micro_batches), None
        compares = any(isinstance(loss, BatchLoss) for loss in objective.losses.values())
        with torch.no_grad():
            if compares:
                self._run(None)
        shares: list[Any] = [{} for _ in self._parts]
        own: Any = ()
        if compares and self._mesh.last:
            pieces = [self._features[index] for index in range(micro_batches)]
            with _by_itself():
                cotangents, own = objective.compare(joined(pieces), batch, micro_batches)
            shares = split(cotangents, pieces)
        self._shares = [
            MicroBatchTerm(counts, share, own if index == micro_batches - 1 else ())
            for index, share in enumerate(shares)
        ]
        self._run(update.wrapped)
        self._parts, self._features = [], {}
        self._tell(batch)

    def _run(self, optimizer: Any) -> None:
        scheduler, count = self._booster.plugin.scheduler, len(self._parts)
        scheduler.num_microbatches, scheduler.microbatch_size, scheduler.last_batch_size = count, 1, None
        index = torch.arange(count, device=self._mesh.device)
        self._booster.execute_pipeline(
            iter([{"index": index}]),
            self._wrapped,
            # The schedule divides by the number of micro-batches; the shares are a sum.
            lambda found, _: found * count if isinstance(found, Tensor) else index.new_zeros((), dtype=torch.float32),
            optimizer,
            return_loss=False,
            return_outputs=False,
        )

    def _stage(self, index: int, hidden: dict[str, Tensor]) -> Any:
        """Run this stage's part of one micro-batch; a dictionary goes on to the next stage."""
        self._replay(index)
        batch, views = self._parts[index], self._views()
        passed = {view: self._through(view, batch, hidden.get(".".join(view))) for view in views}
        if not self._mesh.last:
            return {".".join(view): found for view, found in passed.items()}
        given = {view: cast(Encoded, found) for view, found in passed.items()}
        share = None if self._shares is None else self._shares[index]
        with _by_itself():
            found = self._whole(batch, share, given)
        if share is None:
            self._features[index] = cast(Features, found)
            return {}
        return found

    def _replay(self, index: int) -> None:
        """Draw the same dropout in the second pass as in the first."""
        device = self._mesh.device
        if self._shares is None:
            self._states[index] = RandomState.capture(device)
        elif index in self._states:
            self._states[index].restore(device)

    def _views(self) -> list[tuple[str, str]]:
        images, texts = self._objective.views()
        batch = self._parts[0]
        return [("image", name) for name in sorted(images) if name in batch.images] + [
            ("text", name) for name in sorted(texts) if name in batch.texts
        ]

    def _tower(self, kind: str, name: str, batch: Batch) -> tuple[Staged[Any], Any]:
        model = self._objective.model
        if kind == "text":
            return cast("Staged[Any]", model.text_encoder), batch.texts[name]
        view = batch.images[name]
        return cast("Staged[Any]", model.image_encoder), model.normalise(view) if self._mesh.stage == 0 else view

    def _through(self, view: tuple[str, str], batch: Batch, tokens: Tensor | None) -> Tensor | Encoded:
        """Run a tower's blocks of this stage, with what is before the first and behind the last of them."""
        tower, seen = self._tower(*view, batch)
        route = tower.route(seen)
        found: Tensor = tower.layers(tower.enter(seen, route) if tokens is None else tokens, *route)
        return tower.leave(found, seen, route) if self._mesh.last else found

    def _tell(self, batch: Batch) -> None:
        """Let all stages know the losses, which the last one computed."""
        objective, mesh = self._objective, self._mesh
        losses = {name: cast(Loss, loss) for name, loss in objective.losses.items()}
        names = [name for name, loss in losses.items() if batch.has(loss.image_views, loss.text_views)]
        values = torch.zeros(len(names), dtype=torch.float64, device=mesh.device)
        for place, name in enumerate(names if mesh.last else ()):
            values[place] = objective.parts[name]
        torch.distributed.broadcast(values, src=mesh.of_stage(mesh.stages - 1), group=mesh.pipeline)
        objective.parts = dict(zip(names, values, strict=True))


@contextmanager
def _by_itself() -> Generator[None]:
    before = BY_ITSELF.set(True)
    try:
        yield
    finally:
        BY_ITSELF.reset(before)
