"""Objectives with one thing changed: the mistakes that the tests must notice, and what they are compared with."""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.learn.objective import Objective
from mmx.parts.group import Group
from mmx.parts.loss import BatchLoss
from toys.blip import CrossFusion
from toys.clip import SHARED, Contrastive
from toys.declip import SimSiam
from toys.flava import MergedFusion
from toys.language import Captioning, MaskedPatches, MaskedWords
from toys.matching import HardMatching
from toys.systems import make_model, make_objective


def plain_clip(group: Group) -> Objective:
    """Return CLIP as published, where every other row is a negative."""
    return make_objective(make_model(), {"contrastive": Contrastive(grouped=False)}, group)


def clip_and_words(group: Group) -> Objective:
    """Return CLIP with masked words, whose number differs between micro-batches."""
    return make_objective(make_model(), {"contrastive": Contrastive(), "mlm": MaskedWords("masked")}, group)


def only_words(group: Group) -> Objective:
    """Return masked words alone."""
    return make_objective(make_model(), {"mlm": MaskedWords("masked")}, group)


def with_dropout(group: Group) -> Objective:
    """Return CLIP with masked words and dropout in both towers."""
    losses = {"contrastive": Contrastive(), "mlm": MaskedWords("masked")}
    return make_objective(make_model(dropout=0.3), losses, group)


def with_batch_norm(group: Group) -> Objective:
    """Return CLIP with BatchNorm in its image tower."""
    return make_objective(make_model(batch_norm=True), {"contrastive": Contrastive()}, group)


def simsiam(group: Group) -> Objective:
    """Return SimSiam over the rows of all ranks."""
    return make_objective(make_model(), {"simsiam": SimSiam()}, group)


def simsiam_by_rank(group: Group) -> Objective:
    """Return SimSiam whose BatchNorm sees one rank's rows."""
    return make_objective(make_model(), {"simsiam": SimSiam(everywhere=False)}, group)


def matching_and_captions(group: Group) -> Objective:
    """Return BLIP's two item losses; the first asks for features under ``no_grad``."""
    losses = {"itm": HardMatching(), "lm": Captioning()}
    return make_objective(make_model(CrossFusion(), cross=True), losses, group)


def negatives_from_anywhere(group: Group) -> Objective:
    """Return ITM with negatives drawn among whatever rows a micro-batch has."""
    return make_objective(make_model(CrossFusion(), cross=True), {"itm": HardMatching(block=None)}, group)


def by_turns(group: Group) -> Objective:
    """Return losses on pairs, on images alone and on texts alone, for batches that have one of these at a time."""
    losses = {"contrastive": Contrastive(), "mim": MaskedPatches("alone"), "mlm": MaskedWords("alone")}
    return make_objective(make_model(MergedFusion()), losses, group)


@final
class Late(BatchLoss):
    """Draws pairs together by a learned map, from the second step on; and has a map that it never uses."""

    image_views = ("clean",)
    text_views = ("clean",)

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(SHARED, SHARED)
        self.never = nn.Linear(SHARED, SHARED)

    @override
    def features(self) -> tuple[Feature, ...]:
        return (Feature("image.embed", "clean"), Feature("text.embed", "clean"))

    @override
    def forward(self, whole: GlobalBatch, model: Model) -> Float[Tensor, ""]:
        image, text = (whole[pull] for pull in self.features())
        return image.new_zeros(()) if whole.step == 0 else (self.map(image) - text).square().sum(1).mean()


def late(group: Group) -> Objective:
    """Return CLIP with a loss that begins at the second step."""
    return make_objective(make_model(), {"contrastive": Contrastive(), "late": Late()}, group)
