"""CLIP's own towers and loss in micro-batches: the gradients of the whole batch, or a refusal that says why."""

from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn

from mmx.learn.accumulate import accumulate, inexact
from mmx.learn.model import Model
from mmx.learn.objective import MicroBatchTerm, Objective
from mmx.parts.batch import Batch, Pixels, Words
from mmx.parts.encoder import ImageEncoder
from mmx.parts.group import SoloGroup
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ClipLossConfig, ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.loss import ClipLoss
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit
from mmx_kit.layouts import Alone

SIZES: Final = Sizes(image=32, vocabulary=64, context=8, pad=0, start=62, end=63)
ROWS: Final = 7  # not a multiple of 2 or 4
BASIC: Final[dict[str, Any]] = {"block": "basic", "pool": "mean", "stem": "single"}


def tower(kind: str, **options: Any) -> ImageEncoder:
    if kind == "vit":
        return Vit(VitConfig(name="vit", patch=8, **options).tiny(), SIZES)
    return ModifiedResNet(ModifiedResNetConfig(name="modified_resnet", **options).tiny(), SIZES)


def objective(images: ImageEncoder, frozen: bool = False, checkpointing: bool = False) -> Objective:
    """Return the towers with CLIP's loss in fp64, every gain and bias off its first value."""
    config = TextTransformerConfig(name="transformer", checkpointing=checkpointing)
    texts = TextTransformer(config.tiny(), SIZES)
    sizes = Sizes(32, 64, 8, 0, 62, 63, image_width=images.width, text_width=texts.width, embed=24)
    fusion = Projection(ProjectionConfig(name="projection", width=24), sizes)
    model = Model(images, texts, fusion, Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash"))
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, std=0.3)
    if frozen:
        model.freeze(images.blocks())
    return (
        Objective(model, {"clip": ClipLoss(ClipLossConfig(name="clip"), sizes)}, {"clip": 1.0}, {}, SoloGroup())
        .double()
        .train()
    )


def batch() -> Batch:
    lengths = torch.tensor([3, 8, 5, 2, 7, 4, 6])
    places = torch.arange(8).expand(ROWS, 8)
    ids = torch.randint(1, 62, (ROWS, 8)).masked_fill(places >= lengths[:, None], 0)
    ids[:, 0], ids[torch.arange(ROWS), lengths - 1] = 62, 63
    pixels = torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8)
    return Batch({"clean": Pixels(pixels)}, {"clean": Words(ids, places < lengths[:, None])})


def gradients(made: Objective, rows: Batch, micro_batches: int) -> dict[str, Tensor]:
    made.zero_grad()
    torch.manual_seed(2)
    accumulate(Alone(made), made, rows, micro_batches)
    return {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}


def apart(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Return the largest difference of any parameter, over its largest gradient."""
    assert set(found) == set(expected)
    return max(float((found[name] - value).abs().max() / value.abs().max()) for name, value in expected.items())


TOWERS: Final[dict[str, tuple[str, dict[str, Any], bool]]] = {
    "vit": ("vit", {}, False),
    "vit, checkpointing": ("vit", {"checkpointing": True}, False),
    "modified_resnet, frozen": ("modified_resnet", {}, True),
    "basic resnet, frozen": ("modified_resnet", BASIC, True),
}


@pytest.mark.parametrize("name", TOWERS)
def test_micro_batches_give_the_gradients_of_the_batch(name: str) -> None:
    kind, options, frozen = TOWERS[name]
    torch.manual_seed(0)
    made = objective(tower(kind, **options), frozen, options.get("checkpointing", False))
    rows = batch()
    whole = gradients(made, rows, 1)
    towers = {name.split(".")[1] for name in whole}
    assert towers == ({"text_encoder", "fusion"} if frozen else {"image_encoder", "text_encoder", "fusion"})
    for count in (2, 4, ROWS):
        assert inexact(made, count) is None
        assert apart(gradients(made, rows, count), whole) < 1e-11


@pytest.mark.parametrize("options", [{}, BASIC], ids=["modified_resnet", "basic resnet"])
def test_batch_norm_in_a_tower_that_trains_is_refused_with_the_reason(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    made, rows = objective(tower("modified_resnet", **options)), batch()
    assert inexact(made, 1) is None
    reason = inexact(made, 2)
    assert reason is not None
    assert reason.startswith("model.image_encoder.stem.1 is a BatchNorm: its statistics over a micro-batch")
    assert 'set train = "frozen" for that tower, or train.micro_batches = 1' in reason
    assert apart(gradients(made, rows, 2), gradients(made, rows, 1)) > 0.01


def test_the_loss_of_each_micro_batch_alone_is_another_gradient() -> None:
    torch.manual_seed(0)
    made, rows = objective(tower("vit")), batch()
    whole = gradients(made, rows, 1)
    made.zero_grad()
    for part in rows.chunk(2):
        share = MicroBatchTerm(made.count(part))
        (made(part, share) * len(part.texts["clean"]) / ROWS).backward()
    alone = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
    assert apart(alone, whole) > 0.05
