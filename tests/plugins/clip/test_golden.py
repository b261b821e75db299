"""Towers, projection and loss against transformers' CLIPModel and open_clip's CLIP and ClipLoss, from the same weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn

from mmx.learn.model import Model
from mmx.parts.batch import Encoded, Pixels, Words
from mmx.parts.sizes import Sizes
from mmx.parts.transform import Preprocess
from mmx_clip.configs import ModifiedResNetConfig, ProjectionConfig, TextTransformerConfig, VitConfig
from mmx_clip.contrastive import contrastive
from mmx_clip.convert import from_open_clip, from_transformers
from mmx_clip.projection import Projection
from mmx_clip.resnet import ModifiedResNet
from mmx_clip.text import TextTransformer
from mmx_clip.vit import Vit

Formula = Callable[[str, Sequence[int]], Tensor]
Options = dict[str, Any]

TOLERANCE: Final = {torch.float64: 1e-10, torch.float32: 2e-4}
GELU: Final[Options] = {"activation": "gelu"}


@dataclass(frozen=True)
class Case:
    """The options that make our model the one that the golden values come from."""

    name: str
    image: Options
    side: int = 16
    both: Options = field(default_factory=dict[str, Any])
    """Options of both towers."""
    text: Options = field(default_factory=dict[str, Any])

    def model(self) -> Model:
        sizes = Sizes(self.side, vocabulary=64, context=6, pad=0, start=62, end=63, text_width=24)
        text: Options = {"width": 24, "heads": 3, "layers": 2, **self.both, **self.text}
        texts = TextTransformer(TextTransformerConfig(name="transformer", **text), sizes)
        if "blocks" in self.image:
            images = ModifiedResNet(ModifiedResNetConfig(name="modified_resnet", **self.image), sizes)
        else:
            images = Vit(VitConfig(name="vit", patch=8, layers=2, **self.image, **self.both), sizes)
        fusion = ProjectionConfig(name="projection", width=20, project_image="blocks" not in self.image)
        widths = Sizes(self.side, 64, 6, 0, 62, 63, image_width=images.width, text_width=24)
        return Model(
            images, texts, Projection(fusion, widths), Preprocess(self.side, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "squash")
        )


SMALL: Final[Options] = {"width": 32, "heads": 4}
CHECKPOINTED: Final[Options] = {"checkpointing": True}
H14: Final[Options] = {"width": 40, "heads": 4}
G14: Final[Options] = {"width": 44, "heads": 4, "mlp_ratio": 4.3637}
RESNET: Final[Options] = {"blocks": (1, 2, 1, 1), "width": 4, "heads": 4, "output": 20}
CASES: Final = [
    Case("transformers quick_gelu", SMALL),
    Case("transformers quick_gelu", SMALL, both=CHECKPOINTED),
    Case("transformers gelu", SMALL, both=GELU),
    Case("open_clip quick_gelu", SMALL),
    Case("open_clip quick_gelu", SMALL, text={"padding": "compute"}),
    Case("open_clip gelu, as H/14", H14, both=GELU),
    Case("open_clip gelu, as g/14", G14, both=GELU),
    Case("open_clip gelu, as g/14", G14, both=GELU | CHECKPOINTED),
    Case("open_clip modified_resnet", RESNET, side=64),
]


def theirs(shapes: Mapping[str, Sequence[int]], weight: Formula) -> dict[str, Tensor]:
    """Return the state of the model that the golden values come from."""
    counters = {name: torch.tensor(0) for name in shapes if name.endswith("tracked")}
    return {name: weight(name, shape) for name, shape in shapes.items()} | counters


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


@dataclass(frozen=True)
class Outcome:
    images: Tensor
    texts: Tensor
    words: Encoded
    loss: Tensor


def differentiated(model: Model, view: Pixels, words: Words) -> Outcome:
    """Return what the model makes of normalised pixels and of words, once the loss has been differentiated."""
    encoded = model.encode_text(words)
    images = model.fusion.embed_image(model.image_encoder(view), model.text_encoder)
    texts = model.fusion.embed_text(encoded)
    loss = contrastive(images, texts, model.fusion.scale())
    loss.backward()
    return Outcome(images, texts, encoded, loss)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", CASES, ids=[" ".join([case.name, *case.both, *case.text]) for case in CASES])
def test_values_and_all_gradients_equal_the_oracles(
    case: Case, dtype: torch.dtype, weight: Formula, golden: dict[str, Any]
) -> None:
    expected = golden["models"][case.name]
    convert = from_transformers if case.name.startswith("transformers") else from_open_clip
    model = case.model().double()
    model.load_state_dict(convert(theirs(expected["shapes"], weight)))
    model.to(dtype).train("statistics" in expected)
    view = Pixels((5 * weight("pixels", (4, 3, case.side, case.side))).to(dtype))
    words = Words(torch.tensor(golden["ids"]), torch.arange(6) < torch.tensor(golden["lengths"])[:, None])
    out = differentiated(model, view, words)
    close(out.images, expected["image"])
    close(out.texts, expected["text"])
    close(out.loss, expected["loss"])
    compare_gradients(model, expected["gradients"], weight)
    if "text_tokens" in expected:
        assert out.words.tokens is not None
        close(out.words.tokens[1, : golden["lengths"][1]], expected["text_tokens"])
    if "statistics" in expected:
        compare_statistics(model, view, expected)


def compare_statistics(model: Model, view: Pixels, expected: dict[str, Any]) -> None:
    """Compare BatchNorm's statistics after one batch, and what the model makes of them in evaluation."""
    close(model.state_dict()["image_encoder.layers.4.body.8.running_var"], expected["statistics"])
    images = model.eval().fusion.embed_image(model.image_encoder(view), model.text_encoder)
    close(images, expected["image_after"])


@pytest.mark.parametrize(("name", "wrong"), [("open_clip quick_gelu", GELU), ("open_clip gelu, as g/14", {})])
def test_the_other_activation_is_another_model(
    name: str, wrong: Options, weight: Formula, golden: dict[str, Any]
) -> None:
    expected = golden["models"][name]
    case = next(case for case in CASES if case.name == name)
    model = Case(name, case.image, both=wrong).model().double()
    model.load_state_dict(from_open_clip(theirs(expected["shapes"], weight)))
    words = Words(torch.tensor(golden["ids"]), torch.arange(6) < torch.tensor(golden["lengths"])[:, None])
    out = differentiated(model, Pixels(5 * weight("pixels", (4, 3, 16, 16))), words)
    assert (out.images - torch.tensor(expected["image"])).abs().max() > 1e-3
    assert (out.texts - torch.tensor(expected["text"])).abs().max() > 1e-3
