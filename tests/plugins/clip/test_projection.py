"""The shared space and the temperature."""

import math

import pytest
import torch

from mmx.errors import RecipeError
from mmx.parts.batch import Encoded, Words
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ProjectionConfig, TextTransformerConfig
from mmx_clip.projection import Projection
from mmx_clip.text import TextTransformer


def test_embeddings_have_unit_length_in_fp32_even_from_half_precision(sizes: Sizes) -> None:
    fusion = Projection(ProjectionConfig(name="projection", width=20), sizes)
    reader = TextTransformer(TextTransformerConfig(name="transformer").tiny(), sizes)
    fusion.image.bfloat16()
    images = fusion.embed_image(Encoded(torch.randn(5, 32).bfloat16()), reader)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images.norm(dim=1), torch.ones(5))
    texts = fusion.embed_text(Encoded(torch.randn(3, 24)))
    assert fusion.similarity(images, texts).shape == (5, 3)
    torch.testing.assert_close(fusion.similarity(texts, texts).diagonal(), torch.ones(3))


def test_scale_starts_at_one_over_temperature_and_is_clamped(sizes: Sizes) -> None:
    fusion = Projection(ProjectionConfig(name="projection"), sizes)
    assert fusion.scale().item() == pytest.approx(1 / 0.07)
    for wild, bounded in ((9.0, 100.0), (-3.0, 1.0)):
        torch.nn.init.constant_(fusion.logit_scale, wild)
        fusion.clamp()
        assert fusion.scale().item() == pytest.approx(bounded, rel=1e-5)
    assert fusion.logit_scale.requires_grad
    assert fusion.logit_scale.ndim == 0


def test_projections_have_no_bias_and_start_as_published() -> None:
    torch.manual_seed(0)
    sizes = Sizes(16, 64, 6, 0, 62, 63, image_width=400, text_width=256)
    fusion = Projection(ProjectionConfig(name="projection"), sizes)
    assert set(fusion.state_dict()) == {"image.weight", "text.weight", "logit_scale"}
    assert fusion.state_dict()["image.weight"].std().item() == pytest.approx(1 / 20, rel=0.05)
    assert fusion.text.weight.std().item() == pytest.approx(1 / 16, rel=0.05)


def test_an_image_that_is_not_projected_must_have_the_shared_width(sizes: Sizes) -> None:
    with pytest.raises(RecipeError, match=r"needs an image encoder of fusion.width = 20, but .* is 32 wide"):
        Projection(ProjectionConfig(name="projection", width=20, project_image=False), sizes)
    fusion = Projection(ProjectionConfig(name="projection", width=32, project_image=False), sizes)
    assert set(fusion.state_dict()) == {"text.weight", "logit_scale"}


def test_it_neither_joins_nor_matches(sizes: Sizes) -> None:
    fusion = Projection(ProjectionConfig(name="projection"), sizes)
    reader = TextTransformer(TextTransformerConfig(name="transformer").tiny(), sizes)
    words = Words(torch.zeros(1, 6, dtype=torch.int64), torch.ones(1, 6, dtype=torch.bool))
    with pytest.raises(NotImplementedError, match="Projection does not join"):
        fusion.join(Encoded(torch.zeros(1, 32)), words, reader, "fuse")
    assert math.isclose(fusion.most, math.log(100))
