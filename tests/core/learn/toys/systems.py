"""The systems: which toy parts make up each of them."""

from collections.abc import Callable, Mapping

from mmx.learn.model import Model
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch
from mmx.parts.fusion import Fusion
from mmx.parts.group import Group
from mmx.parts.loss import Loss
from mmx.parts.transform import Preprocess
from toys.blip import CrossFusion, MomentumContrastive
from toys.blip2 import QueryFusion
from toys.clip import Contrastive, ProjectionFusion
from toys.cloob import Cloob
from toys.data import SIDE, make_batch
from toys.declip import NearestNeighbour, SimSiam
from toys.flava import GivenPairs, MergedFusion
from toys.language import Captioning, MaskedPatches, MaskedTogether, MaskedWords
from toys.matching import HardMatching, MatchingOverAll
from toys.siglip import Sigmoid, SigmoidFusion
from toys.towers import PatchTower, WordTower


def make_model(
    fusion: Fusion | None = None, cross: bool = False, dropout: float = 0.0, batch_norm: bool = False
) -> Model:
    """Return a model of toy towers, by default with CLIP's fusion."""
    preprocess = Preprocess(SIDE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "squash")
    image, text = PatchTower(dropout, batch_norm), WordTower(cross, dropout)
    return Model(image, text, fusion or ProjectionFusion(), preprocess)


def make_objective(
    model: Model, losses: Mapping[str, Loss], group: Group, teachers: Mapping[str, Teacher] | None = None
) -> Objective:
    """Return an objective in fp64 with unlike weights: 1, 1/2, 1/3, ..."""
    weights = {name: 1.0 / (index + 1) for index, name in enumerate(losses)}
    return Objective(model, losses, weights, teachers or {}, group).double()


def clip(group: Group) -> Objective:
    """Return CLIP with masks for rows of one group."""
    return make_objective(make_model(), {"contrastive": Contrastive()}, group)


def cloob(group: Group) -> Objective:
    """Return CLOOB."""
    return make_objective(make_model(), {"cloob": Cloob()}, group)


def declip(group: Group) -> Objective:
    """Return DeCLIP: two image views, SimSiam, a queue of texts, masked words."""
    losses = {
        "first": Contrastive("first"),
        "second": Contrastive("second"),
        "simsiam": SimSiam(),
        "neighbour": NearestNeighbour(),
        "mlm": MaskedWords("masked"),
    }
    return make_objective(make_model(), losses, group)


def flava(group: Group) -> Objective:
    """Return FLAVA: masked views, given pairs, and images and texts alone."""
    losses = {
        "contrastive": Contrastive(),
        "mmm_text": MaskedTogether("text"),
        "mmm_image": MaskedTogether("image"),
        "itm": GivenPairs(),
        "mim": MaskedPatches("alone"),
        "mlm": MaskedWords("alone"),
    }
    return make_objective(make_model(MergedFusion()), losses, group)


def blip(group: Group) -> Objective:
    """Return BLIP: momentum contrast with queues, hard negatives, captioning."""
    model = make_model(CrossFusion(), cross=True)
    losses = {"itc": MomentumContrastive(), "itm": HardMatching(), "lm": Captioning()}
    return make_objective(model, losses, group, {"momentum": Teacher(model, decay=0.9)})


def blip2(group: Group) -> Objective:
    """Return BLIP-2's first stage: a frozen image tower (with BatchNorm), a Q-Former, and negatives from all rows."""
    model = make_model(QueryFusion(), cross=True, batch_norm=True)
    model.freeze([model.image_encoder])
    losses = {"itc": Contrastive(), "itm": MatchingOverAll(), "itg": Captioning()}
    return make_objective(model, losses, group)


def merged(group: Group) -> Objective:
    """Return a fusion of what the towers made alone, its negatives from all rows."""
    return make_objective(make_model(MergedFusion()), {"itc": Contrastive(), "itm": MatchingOverAll()}, group)


def siglip(group: Group) -> Objective:
    """Return SigLIP: a sigmoid for each pair, with the fusion's bias."""
    return make_objective(make_model(SigmoidFusion()), {"sigmoid": Sigmoid()}, group)


Build = Callable[[Group], Objective]

SYSTEMS: Mapping[str, Build] = {
    "clip": clip,
    "cloob": cloob,
    "declip": declip,
    "flava": flava,
    "blip": blip,
    "blip2": blip2,
    "merged": merged,
    "siglip": siglip,
}


def batch_for(objective: Objective, step: int = 0) -> Batch:
    """Return the global batch of one step with the views that the objective's losses read."""
    return make_batch(step, *objective.views())
