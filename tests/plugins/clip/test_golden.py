"""Towers, projection and loss against transformers' CLIPModel and open_clip's ModifiedResNet, from the same weights."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from mmx.parts.batch import Pixels, Words
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.contrastive import contrastive
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

Formula = Callable[[str, Sequence[int]], Tensor]

IDS = [[62, 5, 63, 0, 0, 0], [62, 9, 1, 2, 63, 0], [62, 63, 0, 0, 0, 0], [62, 7, 7, 0, 8, 63]]
LENGTHS = [3, 5, 2, 6]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-4}


def fill(module: nn.Module, weight: Formula) -> None:
    module.double()
    state = {
        name: value if name.endswith("tracked") else weight(name, value.shape)
        for name, value in module.state_dict().items()
    }
    module.load_state_dict(state)


def close(found: Tensor, expected: Any) -> None:
    tolerance = TOLERANCE[found.dtype]
    torch.testing.assert_close(
        found.double(), torch.tensor(expected, dtype=torch.float64), rtol=tolerance, atol=tolerance
    )


def compare_gradients(module: nn.Module, expected: dict[str, list[float]], weight: Formula) -> None:
    found = dict(module.named_parameters())
    assert set(found) == set(expected)
    for name, parameter in found.items():
        assert parameter.grad is not None, name
        gradient = parameter.grad.double()
        norm, product = gradient.norm(), (gradient * weight(f"probe.{name}", gradient.shape)).sum()
        slack = 1e-9 if parameter.dtype == torch.float64 else 2e-3 * (1 + expected[name][0])
        torch.testing.assert_close(
            torch.stack([norm, product]), torch.tensor(expected[name]).double(), rtol=1e-6, atol=slack
        )


def clip(activation: Literal["gelu", "quick_gelu"], sizes: Sizes, checkpointing: bool) -> nn.ModuleDict:
    extra: dict[str, Any] = {"layers": 2, "activation": activation, "checkpointing": checkpointing}
    return nn.ModuleDict(
        {
            "image_encoder": Vit(VitConfig(name="vit", patch=8, width=32, heads=4, **extra), sizes),
            "text_encoder": TextTransformer(
                TextTransformerConfig(name="transformer", width=24, heads=3, **extra), sizes
            ),
            "fusion": Projection(ProjectionConfig(name="projection", width=20), sizes),
        }
    )


@pytest.mark.parametrize(
    ("activation", "dtype", "checkpointing"),
    [
        ("quick_gelu", torch.float64, False),
        ("quick_gelu", torch.float64, True),
        ("gelu", torch.float64, False),
        ("quick_gelu", torch.float32, False),
    ],
)
def test_clip_equals_transformers(
    activation: Literal["gelu", "quick_gelu"],
    dtype: torch.dtype,
    checkpointing: bool,
    sizes: Sizes,
    weight: Formula,
    golden: dict[str, Any],
) -> None:
    model = clip(activation, sizes, checkpointing)
    fill(model, weight)
    model.to(dtype)
    image, text, fusion = model["image_encoder"], model["text_encoder"], model["fusion"]
    assert isinstance(image, Vit) and isinstance(text, TextTransformer) and isinstance(fusion, Projection)
    mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    words = text(Words(torch.tensor(IDS), mask))
    images = fusion.embed_image(image(Pixels((5 * weight("pixels", (4, 3, 16, 16))).to(dtype))), text)
    texts = fusion.embed_text(words)
    loss = contrastive(images, texts, images, texts, fusion.scale())
    loss.backward()
    expected = golden[activation]
    close(images, expected["image"])
    close(texts, expected["text"])
    assert words.tokens is not None
    close(words.tokens[1, : LENGTHS[1]], expected["text_tokens"])
    close(loss, expected["loss"])
    compare_gradients(model, expected["gradients"], weight)


def test_modified_resnet_equals_open_clip(sizes: Sizes, weight: Formula, golden: dict[str, Any]) -> None:
    config = ModifiedResNetConfig(name="modified_resnet", blocks=(1, 2, 1, 1), width=4, heads=4, output=12)
    tower = ModifiedResNet(config, Sizes(image=64, vocabulary=2, context=3, pad=0, start=0, end=1))
    fill(tower, weight)
    tower.double()
    pixels = Pixels(5 * weight("pixels", (3, 3, 64, 64)))
    expected = golden["modified_resnet"]
    close(tower.eval()(pixels).pooled, expected["eval"])
    found = tower.train()(pixels).pooled
    close(found, expected["train"])
    (found * weight("out", found.shape)).sum().backward()
    compare_gradients(tower, expected["gradients"], weight)
