"""The two kinds of loss. The split is what makes accumulation and pipelines exact (docs/walk.md)."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from jaxtyping import Float, Shaped
from torch import Tensor, nn
from typing_extensions import override

from mmx.parts.batch import Batch
from mmx.parts.precision import keep_fp32

if TYPE_CHECKING:
    from mmx.learn.global_batch import Feature, GlobalBatch
    from mmx.learn.model import Model
    from mmx.learn.outputs import Outputs


_BatchLoss = TypeVar("_BatchLoss", bound="BatchLoss")


class Loss(nn.Module, ABC):
    """What both kinds share: the views they need, and a step of their own after the optimizer's.

    A loss may own parameters (a head that only trains) and buffers (a queue).
    Built as ``Class(config, sizes)``.
    """

    image_views: tuple[str, ...] = ()
    text_views: tuple[str, ...] = ()
    """Views the loss reads. On a batch that lacks one of them the loss is skipped."""
    facts: tuple[str, ...] = ()
    """Facts of each row that it reads, by ``outputs.fact(name)`` or in ``count``; a batch loss pulls its own."""
    teachers: tuple[str, ...] = ()
    """Names of the teachers it reads."""


class BatchLoss(Loss):
    """A function of the whole global batch, such as a contrastive loss.

    It runs no tower: it declares the small features it compares, and is called once a step with those of every row.
    The mean over ranks of what it returns is the loss: the mean over this rank's rows, against the rows of all, or
    something computed from the rows of all, which every rank then returns alike (a head with BatchNorm).
    It works in fp32, and its heads and queues stay in fp32 where an engine casts the rest to half precision.
    """

    constants: "tuple[Feature, ...]" = ()
    """Pulls of the student that it reads as constants on purpose; the conformance kit expects a gradient by all others.

    What is constant in one place only goes through :func:`mmx.parts.gradient.constant` there.
    """

    @override
    def _apply(self: _BatchLoss, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _BatchLoss:
        return super()._apply(keep_fp32(fn), recurse)

    @abstractmethod
    def features(self) -> "tuple[Feature, ...]":
        """Return the features it compares."""

    @abstractmethod
    def forward(self, whole: "GlobalBatch", model: "Model") -> Float[Tensor, ""]:
        """Return this rank's loss. Towers must not be called; the fusion's scale and heads may be."""

    def after_step(self, whole: "GlobalBatch", model: "Model") -> None:
        """Update queues, without gradient, once the optimizer has stepped. Not called when the step was skipped."""


class ItemLoss(Loss):
    """A mean over items (rows, masked words), such as masked language modelling.

    The loss is the sum over all items of all ranks and micro-batches, divided by their count. It sees the rows of one
    micro-batch: what it draws among all of them would be another loss with every layout, so that it may draw only among
    ``block`` rows. A batch loss draws among the rows of all ranks (``GlobalBatch.pairs``).
    """

    block: int | None = None
    """Consecutive rows among which it re-pairs images and texts (``Outputs.pairs``), which micro-batches are multiples of."""

    @abstractmethod
    def forward(self, outputs: "Outputs") -> Float[Tensor, " b"]:
        """Return the sum over each row's items."""

    @abstractmethod
    def count(self, batch: Batch) -> Shaped[Tensor, ""]:
        """Return the number of items in a batch, known from the data alone."""
