"""The loss as the objective calls it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmx.learn.global_batch import Feature, GlobalBatch
from mmx.learn.model import Model
from mmx.parts.group import Group, SoloGroup
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ClipLossConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.contrastive import Groups, contrastive
from mmx_clip.loss import ClipLoss
from mmx_clip.projection import Projection
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

IMAGE, TEXT, GROUP = Feature("image.embed", "clean"), Feature("text.embed", "clean"), Feature("fact", "concept")


class Rank(Group):
    """One of several ranks that are threads of this process, in step; gradients flow from one to the other."""

    def __init__(self, rank: int, slots: list[Tensor], barrier: Barrier) -> None:
        self.rank, self.size = rank, len(slots)
        self.slots, self.barrier = slots, barrier

    def shared(self, value: Tensor) -> list[Tensor]:
        self.slots[self.rank] = value
        self.barrier.wait()
        found = list(self.slots)
        self.barrier.wait()
        return found

    def gather(self, rows: Tensor) -> Tensor:
        return torch.cat(self.shared(rows))

    def exchange(self, parts: Tensor) -> Tensor:
        return torch.stack([theirs[self.rank] for theirs in self.shared(parts)])

    def sum(self, value: Tensor) -> Tensor:
        raise AssertionError("the loss sums nothing over ranks")


def on_ranks(loss: ClipLoss, built: Model, found: dict[Feature, Tensor], ranks: int) -> Tensor:
    """Return the mean over ranks of what each makes of its rows."""
    slots, barrier = [torch.empty(0)] * ranks, Barrier(ranks, timeout=60)

    def one(rank: int) -> Tensor:
        mine = {pull: rows.chunk(ranks)[rank] for pull, rows in found.items()}
        return loss(GlobalBatch(mine, Rank(rank, slots, barrier), 0), built)

    with ThreadPoolExecutor(ranks) as pool:
        return torch.stack(list(pool.map(one, range(ranks)))).mean()


def model(sizes: Sizes) -> Model:
    vit = Vit(VitConfig(name="vit", patch=8).tiny(), sizes)
    text = TextTransformer(TextTransformerConfig(name="transformer").tiny(), sizes)
    fusion = Projection(ProjectionConfig(name="projection"), sizes)
    return Model(vit, text, fusion, Preprocess(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash"))


def features() -> dict[Feature, Tensor]:
    torch.manual_seed(0)
    image, text = (functional.normalize(torch.randn(8, 5), dim=1).requires_grad_() for _ in range(2))
    return {IMAGE: image, TEXT: text, GROUP: torch.tensor([3, 1, 3, 2, 1, -1, -1, 3])}


def test_it_declares_its_views_and_pulls(sizes: Sizes) -> None:
    loss = ClipLoss(ClipLossConfig(name="clip", image="a", text="b"), sizes)
    assert (loss.image_views, loss.text_views) == (("a",), ("b",))
    assert loss.features() == (Feature("image.embed", "a"), Feature("text.embed", "b"))
    assert ClipLoss(ClipLossConfig(name="clip", group="concept"), sizes).features() == (IMAGE, TEXT, GROUP)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(
    "options", [{}, {"group": "concept"}, {"group": "concept", "same_group": "positive", "label_smoothing": 0.1}]
)
def test_it_is_the_function_of_the_whole_batch_on_any_number_of_ranks(
    options: dict[str, Any], ranks: int, sizes: Sizes
) -> None:
    built, found = model(sizes), features()
    config = ClipLossConfig(name="clip", **options)
    groups = Groups(found[GROUP], config.same_group == "positive") if config.group else None
    scale = built.fusion.scale()
    expected = contrastive(found[IMAGE], found[TEXT], scale, groups=groups, smoothing=config.label_smoothing)
    wanted = [found[IMAGE], found[TEXT], *(p for p in built.parameters() if p.ndim == 0)]
    gradients = torch.autograd.grad(expected, wanted)
    loss = on_ranks(ClipLoss(config, sizes), built, found, ranks)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, wanted), gradients)


def test_it_trains_the_temperature(sizes: Sizes) -> None:
    built = model(sizes)
    ClipLoss(ClipLossConfig(name="clip"), sizes)(GlobalBatch(features(), SoloGroup(), 0), built).backward()
    assert isinstance(built.fusion, Projection)
    assert built.fusion.logit_scale.grad is not None and built.fusion.logit_scale.grad != 0
