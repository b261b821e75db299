"""A few steps of training, by an engine and by plain torch: the two must agree."""

from collections.abc import Mapping
from typing import Final, cast, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from mmx.config import OptimizerConfig
from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.groups import parameter_groups
from mmx.learn.model import Model
from mmx.learn.objective import MicroBatchTerm, Objective
from mmx.parts.engine import Engine
from mmx.parts.group import Group, SoloGroup
from mmx.parts.lazy import gathered
from mmx.parts.loss import BatchLoss
from mmx_kit.inputs import batch_for
from mmx_kit.partners import partner_model

CLIP: Final = 0.5
"""The norm that gradients are clipped to; the kit's are larger."""
_OPTIM: Final = OptimizerConfig(name="kit", lr=1e-2, weight_decay=0.1)


@final
class PartnerLoss(BatchLoss):
    """Softmax cross-entropy of each image against all texts: the loss of the kit's own that engines train with."""

    image_views = ("clean",)
    text_views = ("clean",)

    @override
    def features(self) -> tuple[Feature, ...]:
        return Feature("image.embed", "clean"), Feature("text.embed", "clean")

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        image, text = self.features()
        logits = model.fusion.scale() * model.fusion.similarity(whole[image], whole.all(text))
        return functional.cross_entropy(logits, whole.offset(image) + torch.arange(len(logits), device=logits.device))


def partner_objective(group: Group, device: torch.device) -> Objective:
    """Return the kit's model under the kit's loss; always the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = partner_model()
    return Objective(model, {"main": PartnerLoss()}, {"main": 1.0}, {}, group).to(device).train()


def optimizer_of(objective: Objective) -> torch.optim.AdamW:
    """Return AdamW. Its epsilon is large, so that rounding in a gradient near zero does not decide a step's sign."""
    return torch.optim.AdamW(parameter_groups(objective, _OPTIM), betas=(0.9, 0.98), eps=1e-3)


@final
class Trainee:
    """An engine, prepared with the kit's objective, from given weights or always the same ones."""

    def __init__(self, engine: Engine, start: Mapping[str, Tensor] | None = None) -> None:
        self.engine = engine
        self.objective = partner_objective(engine.group, engine.device)
        self.norms: list[float] = []
        if start is not None:
            self.objective.load_state_dict(dict(start))
        engine.prepare(self.objective, optimizer_of(self.objective))

    def steps(self, first: int, last: int, micro_batches: int = 1, clip: float | None = None) -> None:
        """Take steps ``first`` to ``last``, excluded."""
        for step in range(first, last):
            self.engine.backward(batch_for(PartnerLoss(), step=step).to(self.engine.device), micro_batches)
            self.norms.append(self.engine.clip(clip))
            self.engine.step()

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights on the CPU."""
        return copied(gathered(self.engine.weights()))


def train(engine: Engine, steps: int) -> dict[str, Tensor]:
    """Train with an engine, and return the weights."""
    trainee = Trainee(engine)
    trainee.steps(0, steps)
    return trainee.weights()


def plain(steps: int, clip: float | None = None) -> tuple[dict[str, Tensor], list[float]]:
    """Return the weights and the gradients' norms that plain torch comes to."""
    objective = partner_objective(SoloGroup(), torch.device("cpu"))
    optimizer = optimizer_of(objective)
    norms: list[float] = []
    for step in range(steps):
        batch = batch_for(PartnerLoss(), step=step)
        cast(Tensor, objective(batch, MicroBatchTerm(objective.count(batch)))).backward()
        limit = float("inf") if clip is None else clip
        norms.append(float(torch.nn.utils.clip_grad_norm_(objective.parameters(), limit)))
        optimizer.step()
        optimizer.zero_grad()
    return copied(objective.state_dict()), norms


def copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of weights on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in weights.items()}


def furthest(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[str, float]:
    """Return the tensor that differs most, and by how much."""
    gaps = {name: float((found[name] - value).abs().max()) for name, value in expected.items()}
    name = max(gaps, key=lambda name: gaps[name])
    return name, gaps[name]
