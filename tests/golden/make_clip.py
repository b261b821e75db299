# pyright: basic, reportMissingImports=false
"""Write tests/plugins/clip/golden_clip.json: what tiny CLIP models of transformers and of open_clip compute in fp64.

Run from the root of the repository, in the environment that bench/peers.py describes:

    python tests/golden/make_clip.py
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from peers import open_clip
from weights import weight

from mmx_clip.convert import from_open_clip, from_transformers

OPEN_CLIP = open_clip()
OUT = Path(__file__).parents[1] / "plugins" / "clip" / "golden_clip.json"
IDS = [[62, 5, 63, 0, 0, 0], [62, 9, 1, 2, 63, 0], [62, 63, 0, 0, 0, 0], [62, 7, 7, 0, 8, 63]]
LENGTHS = [3, 5, 2, 6]
TEXT = {"context_length": 6, "vocab_size": 64, "width": 24, "heads": 3, "layers": 2}
VITS = {
    "open_clip quick_gelu": {"layers": 2, "width": 32, "head_width": 8},
    "open_clip gelu, as H/14": {"layers": 2, "width": 40, "head_width": 10},
    "open_clip gelu, as g/14": {"layers": 2, "width": 44, "head_width": 11, "mlp_ratio": 4.3637},
}
RESNET = {"layers": [1, 2, 1, 1], "width": 4, "head_width": 32, "image_size": 64}

Translate = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def filled(model: nn.Module) -> Any:
    """Return the model in fp64, with weights by formula from its own names."""
    state = model.double().state_dict()
    counters = {name: value for name, value in state.items() if name.endswith("tracked")}
    model.load_state_dict({name: weight(name, value.shape) for name, value in state.items()} | counters)
    return model.eval()


def inputs(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixels, ids and mask."""
    mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    return 5 * weight("pixels", (4, 3, side, side)), torch.tensor(IDS), mask


def summary(model: nn.Module, translate: Translate) -> dict[str, object]:
    """Return the shapes of the weights by their names, and by ours each gradient's norm and product with a probe."""
    state = model.state_dict()
    found: dict[str, Any] = {name: value.grad for name, value in model.named_parameters()}
    gradients = translate(state | found)
    return {
        "shapes": {name: list(value.shape) for name, value in state.items()},
        "gradients": {
            name: [float(value.norm()), float((value * weight(f"probe.{name}", value.shape)).sum())]
            for name, value in gradients.items()
            if not name.endswith(("running_mean", "running_var", "tracked"))
        },
    }


def transformers_clip(activation: str) -> dict[str, object]:
    """Return what transformers' CLIPModel and its own loss give."""
    from transformers import CLIPConfig, CLIPModel  # after open_clip, which makes torchvision importable

    vision = dict(hidden_size=32, intermediate_size=128, num_attention_heads=4, image_size=16, patch_size=8)
    text = dict(hidden_size=24, intermediate_size=96, num_attention_heads=3, vocab_size=64, max_position_embeddings=6)
    same = dict(num_hidden_layers=2, hidden_act=activation)
    ends = dict(bos_token_id=62, eos_token_id=63, pad_token_id=0)
    config = cast(Any, CLIPConfig)(
        vision_config=vision | same,
        text_config=text | same | ends,
        projection_dim=20,
        attn_implementation="sdpa",  # eager computes its softmax in fp32
    )
    model = filled(CLIPModel(config))
    pixels, ids, mask = inputs(16)
    out = model(input_ids=ids, pixel_values=pixels, attention_mask=mask.long(), return_loss=True)
    out.loss.backward()
    return {
        "loss": out.loss.item(),
        "image": out.image_embeds.tolist(),
        "text": out.text_embeds.tolist(),
        "text_tokens": out.text_model_output.last_hidden_state[1, : LENGTHS[1]].tolist(),
        **summary(model, from_transformers),
    }


def open_clip_clip(vision: dict[str, Any], quick_gelu: bool, training: bool = False) -> dict[str, object]:
    """Return what open_clip's CLIP and its ClipLoss give."""
    vision = {"image_size": 16, "patch_size": 8, **vision}
    model = filled(OPEN_CLIP.CLIP(20, vision, TEXT, quick_gelu)).train(training)
    pixels, ids, _ = inputs(vision["image_size"])
    images, texts, scale = model(pixels, ids)
    loss = OPEN_CLIP.ClipLoss()(images, texts, scale)
    loss.backward()
    found = {"loss": loss.item(), "image": images.tolist(), "text": texts.tolist(), **summary(model, from_open_clip)}
    if training:
        found["statistics"] = model.visual.layer4[0].bn3.running_var.tolist()
        found["image_after"] = model.eval().encode_image(pixels, normalize=True).tolist()
    return found


def main() -> None:
    """Write the file."""
    models = {f"transformers {kind}": transformers_clip(kind) for kind in ("quick_gelu", "gelu")}
    models |= {name: open_clip_clip(vision, "quick_gelu" in name) for name, vision in VITS.items()}
    models["open_clip modified_resnet"] = open_clip_clip(RESNET, quick_gelu=True, training=True)
    lines = [f'"{name}": {json.dumps(model)}' for name, model in models.items()]
    OUT.write_text(f'{{"ids": {IDS}, "lengths": {LENGTHS}, "models": {{\n' + ",\n".join(lines) + "\n}}\n")
    print(f"wrote {OUT} ({OUT.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
