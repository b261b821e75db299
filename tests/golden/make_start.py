# pyright: basic, reportMissingImports=false
"""Write tests/plugins/clip/golden_start.json: how fresh parameters of open_clip's models are spread, and which decay.

Run from the root of the repository, in the environment that bench/peers.py describes:

    python tests/golden/make_start.py

By mmx's name of each parameter: mean, standard deviation, kurtosis (3 for a normal distribution, 1.8 for a uniform
one, none for a constant), and whether open_clip's training decays it.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from peers import open_clip

from mmx_clip.convert import from_open_clip

OUT = Path(__file__).parents[1] / "plugins" / "clip" / "golden_start.json"
TEXT = {"context_length": 77, "vocab_size": 1000, "width": 128, "heads": 2, "layers": 3}
VISION = {
    "vit": {"image_size": 64, "patch_size": 8, "layers": 2, "width": 192},
    "modified_resnet": {"image_size": 64, "layers": [1, 2, 1, 1], "width": 16},
}


def spread(value: Tensor) -> list[float]:
    """Return mean, standard deviation and kurtosis."""
    centred = value.double() - value.double().mean()
    variance = centred.square().mean()
    kurtosis = float((centred**4).mean() / variance**2) if variance > 0 else 0.0
    return [float(value.double().mean()), float(variance.sqrt()), kurtosis]


def decays(name: str, ndim: int) -> bool:
    """Say whether open_clip's training decays a parameter: its rule, on its names."""
    return not (ndim < 2 or any(part in name for part in ("bn", "ln", "bias", "logit_scale")))


def start(vision: dict[str, object]) -> dict[str, list[float | bool]]:
    """Return what a fresh model starts with."""
    torch.manual_seed(0)
    state = open_clip().CLIP(96, vision, TEXT).state_dict()
    marks = {name: torch.full_like(value, float(decays(name, value.ndim))) for name, value in state.items()}
    decayed = from_open_clip(marks)
    return {
        name: [*spread(value), bool(decayed[name].all())]
        for name, value in from_open_clip(state).items()
        if not name.endswith(("running_mean", "running_var", "tracked"))
    }


def main() -> None:
    """Write the file, a line for each parameter."""
    parts: list[str] = []
    for model, vision in VISION.items():
        rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in start(vision).items()]
        parts.append(f'"{model}": {{\n' + ",\n".join(rows) + "\n}")
    OUT.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    print(f"wrote {OUT} ({OUT.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
