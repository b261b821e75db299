"""Model and losses as one module with one scalar output: what an engine wraps, and what a checkpoint holds."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import cast, final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from typing_extensions import override

from mmx.errors import PluginError, RecipeError
from mmx.learn.global_batch import Computing, Feature, GlobalBatch, read_alone
from mmx.learn.model import Model
from mmx.learn.outputs import Given, Outputs
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch
from mmx.parts.group import Group
from mmx.parts.loss import BatchLoss, ItemLoss, Loss
from mmx.parts.precision import full_precision, halves, keep_fp32, to_fp32
from mmx.parts.report import Numbers, Totals

Features = dict[Feature, Tensor]


@dataclass(frozen=True)
class MicroBatchTerm:
    """What one micro-batch contributes to the gradient."""

    counts: Mapping[str, Tensor]
    """Items of each item loss in the whole batch, over all ranks and micro-batches."""
    cotangents: Mapping[Feature, Tensor] | None = None
    """Gradients of the batch losses by this micro-batch's features. None where it is the whole batch."""
    own: Sequence[tuple[Tensor, Tensor]] = ()
    """Parameters that batch losses use themselves (temperature, heads) with their gradients, in one share only."""


@final
class Objective(nn.Module):
    """The weighted sum of all losses on one model.

    ``forward`` returns the features of a micro-batch (``share`` is None), or one scalar whose gradient is this
    micro-batch's part of the gradient. The scalar is a means to that end: read ``parts`` for the losses.

    Ranks go in step: their batches have the same views with the same numbers of rows. A loss whose views a batch
    lacks is skipped. What no loss of a step reaches has no gradient in that step, not a zero one, and does not move.

    Cast to half precision, single numbers (temperatures) and the mean and deviation of pixels stay as they are.
    """

    def __init__(
        self,
        model: Model,
        losses: Mapping[str, Loss],
        weights: Mapping[str, float],
        teachers: Mapping[str, Teacher],
        group: Group,
    ) -> None:
        super().__init__()
        self.model = model
        self.losses = nn.ModuleDict(losses)
        self.teachers = nn.ModuleDict(teachers)
        self.weights = dict(weights)
        self.group = group
        self.parts: dict[str, Tensor] = {}
        self._numbers = Numbers()
        self.computing: Computing = nullcontext
        """How the engine computes a model, for what batch losses compute of it; set in ``Engine.prepare``."""
        self._seen: Features = {}

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Objective":
        if halves(fn):  # a teacher stays in full precision, what it shares with the model too
            for teacher in self.teachers.values():
                cast(Teacher, teacher).part()
        models = [self.model, *(cast(Teacher, teacher).model for teacher in self.teachers.values())]
        pixels = {id(value) for model in models for value in (model.mean, model.std)}
        kept = keep_fp32(fn)
        return super()._apply(
            lambda value: kept(value) if value.ndim == 0 or id(value) in pixels else fn(value), recurse
        )

    def forward(
        self, batch: Batch, share: MicroBatchTerm | None, given: Given | None = None
    ) -> Features | Float[Tensor, ""]:
        """Return features, or the scalar to differentiate.

        Args:
            batch: one micro-batch.
            share: its part of the gradient; None for features.
            given: what towers made of views already, elsewhere.
        """
        whole = self.group.size == 1 and (share is None or share.cotangents is None)
        outputs = self._outputs(batch, share is not None and torch.is_grad_enabled(), given, whole)
        if share is None:
            return {pull: outputs.pull(pull) for pull in self._features_of(batch)}
        with self._numbers.listening():
            return self._scalar(outputs, share)

    def _scalar(self, outputs: Outputs, share: MicroBatchTerm) -> Float[Tensor, ""]:
        batch = outputs.batch
        if share.cotangents is None:
            terms = [self._compared({pull: outputs.pull(pull) for pull in self._features_of(batch)}, batch)]
        else:
            features = {pull: outputs.pull(pull) for pull in self._features_of(batch) if _differentiable(pull)}
            terms = [(features[pull] * cotangent).sum() for pull, cotangent in share.cotangents.items()]
            terms += [(parameter * gradient).sum() for parameter, gradient in share.own]
        terms += self._means(outputs, share)
        # A leaf of its own, so that there is a backward also where this micro-batch reaches no parameter.
        start = torch.zeros((), device=self.model.mean.device, requires_grad=torch.is_grad_enabled())
        return sum((to_fp32(term) for term in terms), start)

    def count(self, batch: Batch) -> dict[str, Tensor]:
        """Return the items of each item loss over all ranks; starts a new step's ``parts``."""
        self.parts, self._seen, self._numbers = {}, {}, Numbers()
        self._refuse_lacking(batch)
        means = {name: loss.count(batch) for name, loss in self._active(batch).items() if isinstance(loss, ItemLoss)}
        return {name: self.group.sum(count) for name, count in means.items()}

    def compare(
        self, features: Features, batch: Batch, pieces: int = 1
    ) -> tuple[dict[Feature, Tensor], list[tuple[Tensor, Tensor]]]:
        """Return the batch losses' gradients by the features of the whole batch, and by their own parameters.

        What they compute of the model themselves (``GlobalBatch.pairs``) is computed in ``pieces``.
        The gradients come from ``autograd.grad``, so that no data-parallel hook fires early.
        """
        leaves = {
            pull: to_fp32(value.detach()).requires_grad_()  # in fp32: unscaled gradients underflow in fp16
            for pull, value in features.items()
            if _differentiable(pull)
        }
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        with torch.enable_grad(), self._numbers.listening():
            loss = self._compared({**features, **leaves}, batch, pieces)
        if not loss.requires_grad:
            return {}, []
        wanted = [*leaves.values(), *parameters]
        found = cast("tuple[Tensor | None, ...]", torch.autograd.grad(loss, wanted, allow_unused=True))
        by_leaf = zip(leaves, found[: len(leaves)], strict=True)
        by_parameter = zip(parameters, found[len(leaves) :], strict=True)
        return (
            {pull: gradient for pull, gradient in by_leaf if gradient is not None},
            [(parameter, gradient) for parameter, gradient in by_parameter if gradient is not None],
        )

    @torch.no_grad()
    def numbers(self) -> Totals:
        """Return what was reported in this step in this process, and the fusion's scale as it is now."""
        fusion = self.model.fusion
        scale = {"scale": (float(fusion.scale()), 1.0)} if fusion.offers("scale") else dict[str, tuple[float, float]]()
        return {**scale, **self._numbers.totals()}

    @torch.no_grad()
    def after_step(self, batch: Batch) -> None:
        """Clamp, let teachers follow, update queues: once an optimizer step, and not when it was skipped."""
        self.model.fusion.clamp()
        for teacher in self.teachers.values():
            cast(Teacher, teacher).follow(self.model)
        whole = GlobalBatch(self._seen, self.group, batch.step)
        for loss in self._active(batch).values():
            if isinstance(loss, BatchLoss):
                loss.after_step(whole, self.model)

    def facts(self) -> set[str]:
        """Return the facts that any loss reads."""
        return {name for loss in self.losses.values() for name in _facts(cast(Loss, loss))}

    def _refuse_lacking(self, batch: Batch) -> None:
        for name, loss in self._active(batch).items():
            lacking = [fact for fact in _facts(loss) if fact not in batch.facts]
            if lacking:
                known = ", ".join(batch.facts) or "none"
                raise RecipeError(
                    f"losses.{name} reads the fact '{lacking[0]}', which not every sample has (the dataset gives: {known})"
                )

    def views(self) -> tuple[set[str], set[str]]:
        """Return the image views and text views that any loss reads."""
        losses = [cast(Loss, loss) for loss in self.losses.values()]
        return {v for loss in losses for v in loss.image_views}, {v for loss in losses for v in loss.text_views}

    def _outputs(self, batch: Batch, grad: bool, given: Given | None = None, whole: bool = True) -> Outputs:
        teachers = {name: cast(Teacher, teacher).model for name, teacher in self.teachers.items()}
        return Outputs(self.model, batch, teachers, grad, given, whole)

    def _active(self, batch: Batch) -> dict[str, Loss]:
        """Return the losses whose views the batch has."""
        named = {name: cast(Loss, loss) for name, loss in self.losses.items()}
        return {name: loss for name, loss in named.items() if batch.has(loss.image_views, loss.text_views)}

    def _features_of(self, batch: Batch) -> list[Feature]:
        """Return what active batch losses pull, always in the same order: a replay must draw the same dropout."""
        compares = [loss for loss in self._active(batch).values() if isinstance(loss, BatchLoss)]
        features = dict.fromkeys(pull for loss in compares for pull in loss.features())
        if self.model.fusion.offers("fuse"):
            features |= dict.fromkeys(
                read for pull in features if pull.kind == "words" for read in read_alone(pull.view)
            )
        return list(features)

    def _compared(self, features: Features, batch: Batch, pieces: int = 1) -> Float[Tensor, ""]:
        """Return the weighted sum of the batch losses, computed in fp32 at least."""
        features = {pull: to_fp32(value) for pull, value in features.items()}
        whole = GlobalBatch(features, self.group, batch.step, pieces, self.computing)
        self._seen = {pull: value.detach() for pull, value in features.items()}
        total = torch.zeros((), device=self.model.mean.device)
        with full_precision(total.device):
            for name, loss in self._active(batch).items():
                if isinstance(loss, BatchLoss):
                    value = _checked(cast(Tensor, loss(whole, self.model)), (), name, loss)
                    self.parts[name] = value.detach()
                    total = total + self.weights[name] * value
        return total

    def _means(self, outputs: Outputs, share: MicroBatchTerm) -> list[Tensor]:
        """Return this micro-batch's part of each item loss: its sum, over the count of items on all ranks."""
        terms: list[Tensor] = []
        for name, loss in self._active(outputs.batch).items():
            if isinstance(loss, ItemLoss):
                outputs.block = loss.block
                try:
                    value = cast("Shaped[Tensor, ' b']", loss(outputs))
                except RecipeError as error:
                    raise type(error)(f"losses.{name}: {error}") from error
                total = to_fp32(_checked(value, value.shape[:1], name, loss)).sum()
                value = total * self.group.size / share.counts[name].clamp(min=1)
                self.parts[name] = self.parts.get(name, 0) + value.detach()
                terms.append(self.weights[name] * value)
        return terms


def _checked(value: Tensor, shape: Sequence[int], name: str, loss: Loss) -> Tensor:
    """Return what a loss returned, if it has the shape that its kind must have."""
    if tuple(value.shape) == tuple(shape) and (shape or isinstance(loss, BatchLoss)):
        return value
    wanted = "a scalar (the mean over this rank's rows)" if isinstance(loss, BatchLoss) else "one number a row"
    raise PluginError(
        f"losses.{name}: {type(loss).__module__}.{type(loss).__qualname__} returned a tensor of shape "
        f"{list(value.shape)}; {'a batch' if isinstance(loss, BatchLoss) else 'an item'} loss returns {wanted}"
    )


def _facts(loss: Loss) -> list[str]:
    if isinstance(loss, BatchLoss):
        return [pull.view for pull in loss.features() if pull.kind == "fact"]
    return list(loss.facts)


def _differentiable(pull: Feature) -> bool:
    return pull.by == "student" and pull.kind not in ("fact", "words")
