"""What a test calls a loss with by hand: features of one process, and a small model."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Shaped
from torch import Tensor

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.group import SoloGroup
from mmx_kit.partners import PartnerFusion, partner_model


def whole(features: Mapping[Feature, Shaped[Tensor, "b ..."]], step: int = 0) -> GlobalBatch:
    """Return what a ``BatchLoss`` loss is called with, in one process: its rows are all the rows there are.

    Args:
        features: a tensor for each pull, each with one row per sample, facts too.
        step: the step that the rows are of.

    Raises:
        ValueError: the tensors have unlike numbers of rows.
    """
    rows = {pull: len(value) for pull, value in features.items()}
    if len(set(rows.values())) > 1:
        told = ", ".join(f"{count} of {pull.kind} {pull.view}" for pull, count in rows.items())
        raise ValueError(f"every pull has one row for each sample, but there are {told}")
    return GlobalBatch(dict(features), SoloGroup(), step)


def small_model(scale: float = 5.0, seed: int = 0) -> Model:
    """Return the small model that the kit itself uses, on the CPU, in fp32 and evaluation mode.

    It reads pictures of 32 pixels and texts of 16 of 128 ids. Both towers give tokens, the fusion embeds in 16
    dimensions, joins and has heads.

    Args:
        scale: what ``model.fusion.scale()`` returns, up to rounding; above 0. It is a parameter that can learn.
        seed: the seed of its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = partner_model()
    assert isinstance(model.fusion, PartnerFusion)
    with torch.no_grad():
        model.fusion.log_scale.fill_(math.log(scale))
    return model.eval()
