"""Objectives in fp64 under any layout of the engine; what runs in the processes of a pool."""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mmx.config import GroupTable, OptimizerConfig
from mmx.learn.groups import parameter_groups
from mmx.learn.model import Model
from mmx.learn.norm import group_batch_norms
from mmx.learn.objective import Objective
from mmx.learn.teacher import Teacher
from mmx.parts.batch import Batch, Pixels, Words
from mmx.parts.engine import Engine
from mmx.parts.group import Group, SoloGroup
from mmx.parts.lazy import gathered
from mmx.parts.optimizer import Optimizer
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ClipLossConfig, ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.loss import ClipLoss
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit
from mmx_colossalai.config import ColossalConfig
from mmx_colossalai.engine import ColossalEngine
from mmx_kit.layouts import here
from mmx_local.config import LocalConfig
from mmx_local.engine import LocalEngine
from mmx_optim.configs import AdamWConfig, LambConfig, LionConfig, SgdConfig
from mmx_optim.optimizers import AdamW, Lamb, Lion, Sgd
from toys.clip import Contrastive
from toys.flava import GivenPairs, MergedFusion
from toys.language import MaskedWords
from toys.mistakes import late
from toys.systems import SYSTEMS, batch_for, make_model, make_objective
from toys.towers import WIDTH

Arrays = dict[str, np.ndarray]
SIZES = Sizes(image=32, vocabulary=64, context=8, pad=0, start=62, end=63)
ROWS = 16
OPTIMIZERS: dict[str, tuple[Callable[[Any], Optimizer], OptimizerConfig]] = {
    "adamw": (AdamW, AdamWConfig(name="adamw")),
    "sgd": (Sgd, SgdConfig(name="sgd", nesterov=True)),
    "lion": (Lion, LionConfig(name="lion")),
    "lamb": (Lamb, LambConfig(name="lamb")),
}


@dataclass(frozen=True)
class Case:
    """What is trained, and how."""

    system: str
    micro_batches: int = 1
    steps: int = 3
    clip: float | None = 0.5
    tower: tuple[tuple[str, Any], ...] = ()
    """Options of the image tower."""
    optimizer: str = "adamw"
    groups: tuple[tuple[str, GroupTable], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of it, on the main process."""

    losses: list[float]
    norms: list[float]
    gradients: list[Arrays]
    weights: Arrays
    state: Arrays
    embeddings: Arrays


def clip(group: Group, **tower: Any) -> Objective:
    """Return CLIP with an averaged copy, in fp64, every gain and bias off its first value."""
    texts = TextTransformer(TextTransformerConfig(name="t", tokens="pooled", layers=3, width=32, heads=4), SIZES)
    if tower.pop("resnet", False):
        images: Any = ModifiedResNet(ModifiedResNetConfig(name="r", block="basic", pool="mean").tiny(), SIZES)
    else:
        images = Vit(VitConfig(name="v", patch=8, layers=2, width=24, heads=2, **tower), SIZES)
    sizes = Sizes(32, 64, 8, 0, 62, 63, image_width=images.width, text_width=texts.width, embed=24)
    fusion = Projection(ProjectionConfig(name="p", width=24), sizes)
    model = Model(images, texts, fusion, Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "squash"))
    if tower.get("train") == "frozen":
        model.freeze([images])
    loss = ClipLoss(ClipLossConfig(name="clip", group="group", label_smoothing=0.1), sizes)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=draw)
    return Objective(model, {"c": loss}, {"c": 1.0}, {"ema": Teacher(model, 0.9)}, group).double().train()


def merged(group: Group) -> Objective:
    """Return FLAVA's merged encoder over CLIP's towers: contrast, and matching of pairs that the data made."""
    images: Any = Vit(VitConfig(name="v", patch=8, layers=2, width=WIDTH, heads=2, tokens="all"), SIZES)
    texts = TextTransformer(TextTransformerConfig(name="t", layers=2, width=WIDTH, heads=2, tokens="all"), SIZES)
    model = Model(images, texts, MergedFusion(), Preprocess(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "squash"))
    return make_objective(model, {"contrastive": Contrastive(), "itm": GivenPairs()}, group).train()


def tied(group: Group) -> Objective:
    """Return FLAVA's fusion with masked words, by a head that is tied to the text tower's table."""
    model = make_model(MergedFusion())
    words = MaskedWords("masked")
    words.head.weight = model.text_encoder.embed.weight  # pyright: ignore
    return make_objective(model, {"contrastive": Contrastive(), "mlm": words}, group).train()


def batch_for_merged(step: int) -> Batch:
    batch = batch_of(step)
    words, matched = batch.texts["clean"], (torch.arange(ROWS) % 3 != 0).long()
    swapped = torch.where(matched == 1, torch.arange(ROWS), (torch.arange(ROWS) + 1) % ROWS)
    given = Words(words.ids[swapped], words.mask[swapped])
    return replace(batch, texts={"clean": words, "given": given}, facts={**batch.facts, "matched": matched})


def batch_of(step: int) -> Batch:
    draw = torch.Generator().manual_seed(step)
    lengths = torch.randint(3, 9, (ROWS,), generator=draw)
    ids = torch.randint(1, 60, (ROWS, 8), generator=draw)
    places = torch.arange(8)
    ids = torch.where(places < lengths[:, None] - 1, ids, 0)
    ids[torch.arange(ROWS), lengths - 1] = 63
    pixels = torch.randint(0, 256, (ROWS, 3, 32, 32), generator=draw, dtype=torch.uint8)
    facts = {"group": torch.arange(ROWS) // 2}
    mask = places < lengths[:, None]
    return Batch({"clean": Pixels(pixels)}, {"clean": Words(ids, mask)}, facts, [f"{i}" for i in range(ROWS)], step)


def objective_of(case: Case, group: Group) -> tuple[Objective, Callable[[int], Batch]]:
    torch.manual_seed(0)
    if case.system == "clip":
        return clip(group, **dict(case.tower)), batch_of
    if case.system in ("late", "tied"):
        objective = {"late": late, "tied": tied}[case.system](group).train()
        return objective, lambda step: batch_for(objective, step)
    if case.system == "merged":
        return merged(group), batch_for_merged
    objective = SYSTEMS[case.system](group).train()
    return objective, lambda step: batch_for(objective, step)


def train(case: Case, options: Mapping[str, Any] | None = None) -> Outcome | None:
    """Train under a layout, or, without options, in this process by the local engine; None but on the main process."""
    if options is None:
        engine: Engine = LocalEngine(LocalConfig(name="local", device="cpu", precision="fp32"))
    else:
        engine = ColossalEngine(ColossalConfig(name="colossalai", device="cpu", **options))
    objective, batches = objective_of(case, engine.group)
    if engine.group.size > 1 and case.micro_batches == 1:
        group_batch_norms(objective, engine.group)
    make, config = OPTIMIZERS[case.optimizer]
    config = config.model_copy(update={"weight_decay": 0.1, "lr": 1e-2, "groups": dict(case.groups)}).tiny()
    optimizer = make(config).over(parameter_groups(objective, config))
    engine.prepare(objective, optimizer)
    losses: list[float] = []
    norms: list[float] = []
    gradients: list[Arrays] = []
    for step in range(case.steps):
        rows = here(batches(step), engine.group)
        engine.backward(rows, case.micro_batches)
        parts = {n: float(objective.group.sum(v)) / objective.group.size for n, v in objective.parts.items()}
        losses.append(sum(objective.weights[name] * value for name, value in parts.items()))
        gradients.append(arrays(engine.gradients()))
        norms.append(engine.clip(case.clip))
        engine.step()
        objective.after_step(rows)
    weights, state = gathered(engine.weights()), gathered(engine.state()[0])
    shown = embeddings(objective) if case.system == "clip" else {}
    found = Outcome(losses, norms, gradients, arrays(weights), arrays(state), shown) if engine.main else None
    del engine, objective, optimizer
    gc.collect()
    return found


@torch.no_grad()
def embeddings(objective: Objective) -> Arrays:
    """Return what the model and its averaged copy make of a batch, as an evaluator would ask for it: on every process."""
    batch, found = batch_of(9), dict[str, Any]()
    for name, model in (("model", objective.model), ("ema", objective.teachers["ema"].model)):
        model: Any
        model.eval()
        found |= {f"{name}.image": model.embed_image(batch.images["clean"])}
        found |= {f"{name}.text": model.embed_text(batch.texts["clean"])}
    return arrays(found)


def arrays(tensors: Mapping[str, Any]) -> Arrays:
    return {name: value.detach().cpu().numpy().copy() for name, value in tensors.items()}


def alone(case: Case) -> Outcome:
    """Train in this process."""
    found = train(case)
    assert found is not None
    return found


__all__ = ["Case", "Outcome", "SoloGroup", "alone", "train"]
