"""The loss as the objective calls it."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mmx.learn.group import Group, SoloGroup
from mmx.learn.model import Model
from mmx.learn.whole import Pull, Whole
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ClipLossConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.contrastive import Groups, contrastive
from mmx_clip.loss import ClipLoss
from mmx_clip.projection import Projection
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

IMAGE, TEXT, GROUP = Pull("image.embed", "clean"), Pull("text.embed", "clean"), Pull("fact", "concept")


class Half(Group):
    """One of two ranks that knows the rows of both."""

    size = 2

    def __init__(self, rank: int, rows: list[Tensor]) -> None:
        self.rank = rank
        self.rows = rows

    def gather(self, rows: Tensor) -> Tensor:
        return next(all for all in self.rows if all.chunk(2)[self.rank].equal(rows))

    def sum(self, value: Tensor) -> Tensor:
        raise AssertionError("the loss sums nothing over ranks")


def model(sizes: Sizes) -> Model:
    vit = Vit(VitConfig(name="vit", patch=8).tiny(), sizes)
    text = TextTransformer(TextTransformerConfig(name="transformer").tiny(), sizes)
    fusion = Projection(ProjectionConfig(name="projection"), sizes)
    return Model(vit, text, fusion, Preprocess(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash"))


def features() -> dict[Pull, Tensor]:
    torch.manual_seed(0)
    image, text = (functional.normalize(torch.randn(4, 5), dim=1) for _ in range(2))
    return {IMAGE: image, TEXT: text, GROUP: torch.tensor([3, 1, 3, 2])}


def test_it_declares_its_views_and_pulls(sizes: Sizes) -> None:
    loss = ClipLoss(ClipLossConfig(name="clip", image="a", text="b"), sizes)
    assert (loss.image_views, loss.text_views) == (("a",), ("b",))
    assert loss.pulls() == (Pull("image.embed", "a"), Pull("text.embed", "b"))
    assert ClipLoss(ClipLossConfig(name="clip", group="concept"), sizes).pulls() == (IMAGE, TEXT, GROUP)


@pytest.mark.parametrize("group", [None, "concept"])
def test_it_is_the_function_of_the_whole_batch_on_one_rank_and_on_two(group: str | None, sizes: Sizes) -> None:
    loss, built, found = ClipLoss(ClipLossConfig(name="clip", group=group), sizes), model(sizes), features()
    groups = None if group is None else Groups(found[GROUP], found[GROUP])
    expected = contrastive(found[IMAGE], found[TEXT], found[IMAGE], found[TEXT], built.fusion.scale(), groups=groups)
    torch.testing.assert_close(loss(Whole(found, SoloGroup(), 0), built), expected)
    halves = [
        loss(
            Whole({pull: rows.chunk(2)[rank] for pull, rows in found.items()}, Half(rank, list(found.values())), 0),
            built,
        )
        for rank in range(2)
    ]
    torch.testing.assert_close(torch.stack(halves).mean(), expected)


def test_it_trains_the_temperature(sizes: Sizes) -> None:
    built = model(sizes)
    ClipLoss(ClipLossConfig(name="clip"), sizes)(Whole(features(), SoloGroup(), 0), built).backward()
    assert isinstance(built.fusion, Projection)
    assert built.fusion.logit_scale.grad is not None and built.fusion.logit_scale.grad != 0
