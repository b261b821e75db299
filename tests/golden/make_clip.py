# pyright: basic, reportMissingImports=false
"""Write tests/plugins/clip/golden_clip.json: a tiny transformers CLIPModel and a tiny open_clip ModifiedResNet.

Run in an environment of its own, from the root of the repository:

    pip install torch==2.13.0 numpy transformers==5.23.0
    pip install --no-deps open-clip-torch==3.3.0
    python tests/golden/make_clip.py

open_clip's package is not imported as a whole (that would need torchvision), only its file with the ResNet.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

sys.path.insert(0, str(Path(__file__).parent))
from weights import weight

OUT = Path(__file__).parents[1] / "plugins" / "clip" / "golden_clip.json"
IDS = [[62, 5, 63, 0, 0, 0], [62, 9, 1, 2, 63, 0], [62, 63, 0, 0, 0, 0], [62, 7, 7, 0, 8, 63]]
LENGTHS = [3, 5, 2, 6]


def summary(gradients: dict[str, Tensor]) -> dict[str, list[float]]:
    """Return the norm of each gradient and its product with a probe, by mmx's parameter name."""
    return {
        name: [float(value.norm()), float((value * weight(f"probe.{name}", value.shape)).sum())]
        for name, value in sorted(gradients.items())
    }


def block(theirs: str, ours: str) -> dict[str, str]:
    """Return mmx's names for one transformer block, but for queries, keys and values."""
    pairs = {"layer_norm1": "norm_attention", "layer_norm2": "norm_mlp", "self_attn.out_proj": "attention.out"}
    pairs |= {"mlp.fc1": "mlp.up", "mlp.fc2": "mlp.down"}
    return {f"{theirs}.{a}.{kind}": f"{ours}.{b}.{kind}" for a, b in pairs.items() for kind in ("weight", "bias")}


def clip(activation: str) -> dict[str, object]:
    config = CLIPConfig(
        vision_config=dict(
            hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=16,
            patch_size=8, hidden_act=activation,
        ),
        text_config=dict(
            hidden_size=24, intermediate_size=96, num_hidden_layers=2, num_attention_heads=3, vocab_size=64,
            max_position_embeddings=6, hidden_act=activation, bos_token_id=62, eos_token_id=63, pad_token_id=0,
        ),
        projection_dim=20,
        attn_implementation="sdpa",  # eager computes its softmax in fp32
    )  # fmt: skip
    model = CLIPModel(config).double().eval()
    names = {
        "vision_model.embeddings.class_embedding": "image_encoder.patches.start",
        "vision_model.embeddings.patch_embedding.weight": "image_encoder.patches.linear.weight",
        "vision_model.embeddings.position_embedding.weight": "image_encoder.patches.position",
        "text_model.embeddings.token_embedding.weight": "text_encoder.tokens.table.weight",
        "text_model.embeddings.position_embedding.weight": "text_encoder.tokens.position",
        "visual_projection.weight": "fusion.image.weight",
        "text_projection.weight": "fusion.text.weight",
        "logit_scale": "fusion.logit_scale",
    }
    norms = {
        "vision_model.pre_layrnorm": "image_encoder.patches.norm",
        "vision_model.post_layernorm": "image_encoder.norm",
    }
    norms["text_model.final_layer_norm"] = "text_encoder.norm"
    names |= {f"{a}.{kind}": f"{b}.{kind}" for a, b in norms.items() for kind in ("weight", "bias")}
    for theirs, ours in (("vision_model", "image_encoder"), ("text_model", "text_encoder")):
        for layer in range(2):
            names |= block(f"{theirs}.encoder.layers.{layer}", f"{ours}.layers.{layer}")
    parts = dict(model.named_parameters())
    fused = {name for name in parts if ".self_attn." in name and "out_proj" not in name}
    assert set(names) | fused == set(parts), set(parts) ^ (set(names) | fused)
    with torch.no_grad():
        for theirs, ours in names.items():
            shape = parts[theirs].shape
            flat = shape if theirs != "vision_model.embeddings.patch_embedding.weight" else (shape[0], 3 * 8 * 8)
            parts[theirs].copy_(weight(ours, flat).reshape(shape))
        for name in fused:
            three, index = fused_name(name)
            width = parts[name].shape[0]
            full = weight(three, (3 * width, *parts[name].shape[1:]))
            parts[name].copy_(full[index * width : (index + 1) * width])
    ids = torch.tensor(IDS)
    mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    out = model(
        input_ids=ids, pixel_values=5 * weight("pixels", (4, 3, 16, 16)), attention_mask=mask.long(), return_loss=True
    )
    out.loss.backward()
    gradients = {
        ours: parts[theirs].grad.flatten(1) if "patch" in theirs else parts[theirs].grad
        for theirs, ours in names.items()
    }
    for name in sorted(fused, key=lambda name: fused_name(name)[1]):
        three = fused_name(name)[0]
        before = [gradients[three]] if three in gradients else []
        gradients[three] = torch.cat([*before, parts[name].grad])
    return {
        "loss": out.loss.item(),
        "image": out.image_embeds.tolist(),
        "text": out.text_embeds.tolist(),
        "text_tokens": out.text_model_output.last_hidden_state[1, : LENGTHS[1]].tolist(),
        "gradients": summary(gradients),
    }


def fused_name(name: str) -> tuple[str, int]:
    tower = "image_encoder" if name.startswith("vision") else "text_encoder"
    layer = name.split(".")[3]
    projection, kind = name.split(".")[-2:]
    return f"{tower}.layers.{layer}.attention.qkv.{kind}", "qkv".index(projection[0])


def modified_resnet() -> type[nn.Module]:
    """Return open_clip's class from its file."""
    found = importlib.util.find_spec("open_clip")
    assert found is not None and found.submodule_search_locations
    package = types.ModuleType("open_clip")
    package.__path__ = list(found.submodule_search_locations)
    misc = types.ModuleType("torchvision.ops.misc")
    misc.__dict__["FrozenBatchNorm2d"] = nn.Identity
    sys.modules |= {"open_clip": package, "torchvision": types.ModuleType("torchvision")}
    sys.modules |= {"torchvision.ops": types.ModuleType("torchvision.ops"), "torchvision.ops.misc": misc}
    return importlib.import_module("open_clip.modified_resnet").ModifiedResNet


def resnet() -> dict[str, object]:
    model = modified_resnet()(layers=[1, 2, 1, 1], output_dim=12, heads=4, image_size=64, width=4).double()
    names = {"attnpool.positional_embedding": "pool.position"}
    for theirs, ours in (("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("c_proj", "out")):
        names |= {f"attnpool.{theirs}.{kind}": f"pool.{ours}.{kind}" for kind in ("weight", "bias")}
    modules = {
        "conv1": "stem.0",
        "bn1": "stem.1",
        "conv2": "stem.3",
        "bn2": "stem.4",
        "conv3": "stem.6",
        "bn3": "stem.7",
    }
    index = 0
    for stage, count in enumerate((1, 2, 1, 1)):
        for place in range(count):
            pooled = 1 if stage and place == 0 else 0
            theirs, ours = f"layer{stage + 1}.{place}", f"layers.{index}"
            body = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4, "conv3": 6 + pooled, "bn3": 7 + pooled}
            modules |= {f"{theirs}.{name}": f"{ours}.body.{number}" for name, number in body.items()}
            if place == 0:
                modules |= {
                    f"{theirs}.downsample.0": f"{ours}.side.{pooled}",
                    f"{theirs}.downsample.1": f"{ours}.side.{pooled + 1}",
                }
            index += 1
    state = model.state_dict()
    for name in state:
        module, _, kind = name.rpartition(".")
        if module in modules:
            names[name] = f"{modules[module]}.{kind}"
    assert set(names) == set(state), set(names) ^ set(state)
    model.load_state_dict(
        {
            theirs: state[theirs] if ours.endswith("tracked") else weight(ours, state[theirs].shape)
            for theirs, ours in names.items()
        }
    )
    pixels = 5 * weight("pixels", (3, 3, 64, 64))
    fixed = model.eval()(pixels)
    out = model.train()(pixels)
    (out * weight("out", out.shape)).sum().backward()
    gradients = {names[name]: value.grad for name, value in model.named_parameters() if value.grad is not None}
    return {"eval": fixed.tolist(), "train": out.tolist(), "gradients": summary(gradients)}


if __name__ == "__main__":
    golden = {"quick_gelu": clip("quick_gelu"), "gelu": clip("gelu"), "modified_resnet": resnet()}
    OUT.write_text(json.dumps(golden, indent=1) + "\n")
    print(f"wrote {OUT} ({OUT.stat().st_size} bytes)")
