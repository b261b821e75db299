# pyright: basic, reportMissingImports=false
"""Compare mmx's CLIP models at their published sizes with open_clip's and transformers', from the same weights.

Run in the environment that bench/peers.py describes; the largest models need 16 GiB of memory:

    .peers/bin/python bench/equality.py --markdown
    .peers/bin/python bench/equality.py --models RN50 --precision fp64
    .peers/bin/python bench/equality.py --models B/32 RN50 --rounding  # also: how far open_clip in fp32 is from itself in fp64
    .peers/bin/python bench/equality.py --models B/32 --control        # our towers with the other activation: exits with 1

Each row is a process of its own: one batch of three pictures and captions of 77, 16 and 5 tokens, forward and backward
in training mode (BatchNorm with the statistics of the batch). The peers compute padding, mmx leaves it out. Columns:

    image, text  embeddings: largest |a - b|, over the largest |b|
    loss         |a - b| / |b|
    gradients    for each parameter the largest |a - b| over the largest |b|; the largest of all, and whose it is

The attention pool's biases of queries, keys and values count as one parameter: that of keys alone has a gradient of
zero but for rounding. Exits with 1 where a number is above its bound.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal

import torch
from oracles import Config, Mmx, OpenClip, Oracle, Transformers, batch
from peers import open_clip
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

Peer = Literal["open_clip", "transformers", "itself in fp64"]
Precision = Literal["fp32", "fp64"]

MODELS: Final = {
    "B/32": "ViT-B-32-quickgelu",
    "B/16": "ViT-B-16-quickgelu",
    "L/14": "ViT-L-14-quickgelu",
    "L/14-336": "ViT-L-14-336-quickgelu",
    "H/14": "ViT-H-14",
    "g/14": "ViT-g-14",
    "RN50": "RN50-quickgelu",
    "RN101": "RN101-quickgelu",
    "RN50x4": "RN50x4-quickgelu",
    "RN50x16": "RN50x16-quickgelu",
    "RN50x64": "RN50x64-quickgelu",
}
"""By our name, open_clip's name of the published model."""


@dataclass(frozen=True)
class Row:
    """One comparison, and, once it has run, what was found."""

    model: str
    peer: Peer
    precision: Precision = "fp32"
    rows: int = 3
    control: bool = False
    image: float = 0.0
    text: float = 0.0
    loss: float = 0.0
    gradients: float = 0.0
    worst: str = ""


COLUMNS: Final = ("image", "text", "loss", "gradients")
DTYPES: Final = {"fp32": torch.float32, "fp64": torch.float64}


def bounds(row: Row) -> dict[str, float]:
    """Return what each column may be at most; docs/equality.md says why."""
    if row.precision == "fp64":
        return {"image": 1e-10, "text": 1e-10, "loss": 1e-10, "gradients": 1e-8}
    if row.model.startswith("RN"):
        return {"image": 1e-4, "text": 1e-5, "loss": 1e-5, "gradients": 0.5}
    return {"image": 1e-5, "text": 1e-5, "loss": 1e-5, "gradients": 2e-3}


def compare(row: Row) -> Row:
    """Run both sides, one after the other: of the first, weights and gradients are kept, the gradients on disk."""
    config = open_clip().get_model_config(MODELS[row.model])
    pixels, words = batch(config["vision_cfg"]["image_size"], row.rows)
    dtype = DTYPES[row.precision]
    first: Oracle = Transformers(config, dtype) if row.peer == "transformers" else OpenClip(config, dtype)
    expected = first.run(pixels, words)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "gradients.safetensors"
        save_file(dict(first.gradients()), kept)
        first.model.zero_grad()
        second = other(row, config, first)
        del first
        found = second.run(pixels, words)
        share, worst = largest(second.gradients(), kept)
    image, text = (apart(getattr(found, kind), getattr(expected, kind)) for kind in ("image", "text"))
    return replace(row, image=image, text=text, loss=apart(found.loss, expected.loss), gradients=share, worst=worst)


def other(row: Row, config: Config, first: Oracle) -> Oracle:
    """Return the second side, with the weights of the first."""
    if row.peer == "itself in fp64":
        return OpenClip(config, torch.float64)
    if row.control:
        config = config | {"quick_gelu": not config.get("quick_gelu", False)}
    return Mmx(config, first.state(), DTYPES[row.precision])


def apart(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference, over the largest expected value."""
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


def largest(gradients: Iterator[tuple[str, Tensor]], kept: Path) -> tuple[float, str]:
    """Return the largest difference of all parameters, and whose it is."""
    found = dict(gradients)
    with safe_open(kept, "pt") as expected:
        if unlike := set(found) ^ set(expected.keys()):
            raise SystemExit(f"one side alone has gradients of {', '.join(sorted(unlike))}")
        return max((difference(name, found, expected.get_tensor), name) for name in found)


def difference(name: str, found: dict[str, Tensor], expected: Callable[[str], Tensor]) -> float:
    """Return a parameter's difference; the attention pool's biases of queries, keys and values are measured as one."""
    prefix, _, kind = name.rpartition("pool.")
    parts = [f"{prefix}pool.{part}.bias" for part in "qkv"] if kind in ("q.bias", "k.bias", "v.bias") else [name]
    scale = max(float(expected(part).abs().max()) for part in parts)
    return float((found[name] - expected(name)).abs().max()) / scale


def line(cells: list[str], markdown: bool) -> str:
    """Return one line of the table."""
    if markdown:
        return f"| {' | '.join(cells)} |"
    widths = (9, 15, 5, 9, 9, 9, 9, 1)
    return "".join(f"{cell:<{width}} " for cell, width in zip(cells, widths, strict=True)).rstrip()


def cells(row: Row) -> list[str]:
    """Return a row as it is printed."""
    numbers = [f"{getattr(row, kind):.1e}" for kind in COLUMNS]
    return [row.model, row.peer, row.precision, *numbers, row.worst]


def rows(args: argparse.Namespace) -> list[Row]:
    """Return the comparisons that were asked for: each model with the peers that have it."""
    peers: list[Peer] = [*args.peers, *(["itself in fp64"] if args.rounding else [])]
    return [
        Row(model, peer, args.precision, args.rows, args.control)
        for model in args.models
        for peer in peers
        if not (peer == "transformers" and model.startswith("RN"))
    ]


def main() -> int:
    """Print a row for each model and peer, each from a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--peers", nargs="*", choices=("open_clip", "transformers"), default=["open_clip"])
    parser.add_argument("--precision", choices=DTYPES, default="fp32")
    parser.add_argument("--rows", type=int, choices=(2, 3), default=3, help="of the batch; 2 need less memory")
    parser.add_argument("--rounding", action="store_true", help="also compare open_clip with itself in fp64")
    parser.add_argument("--control", action="store_true", help="give our towers the other activation")
    parser.add_argument("--markdown", action="store_true", help="print a table for the documentation")
    args = parser.parse_args()
    heads = ["model", "compared with", "in", *COLUMNS, "largest in"]
    print(line(heads, args.markdown))
    if args.markdown:
        print(line(["---"] * len(heads), True))
    exact = True
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for row in pool.map(compare, rows(args)):
            print(line(cells(row), args.markdown), flush=True)
            above = [f"{kind} > {bound}" for kind, bound in bounds(row).items() if not getattr(row, kind) <= bound]
            exact = exact and not above
            if above:
                print(f"{row.model} is not equal: {', '.join(above)}", file=sys.stderr)
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
