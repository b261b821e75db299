"""Time and memory of mmx's contrastive loss, beside open_clip's ClipLoss: forward and backward, fp32, one process.

    .peers/bin/python bench/loss.py

In an environment as bench/peers.py describes. Embeddings are unit vectors of 512 numbers. Memory is that of a process of
its own for each row: how far resident memory rises above where it stood with the inputs in place, gradients included.
Where the peer's matrices would not fit into what is free, it is not started. Values and all three gradients are equal
before anything is timed in turns. Exits with 1 where mmx needs 1 GiB or more at a batch of 65536, or is slower than
open_clip where that fits.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, cast, final

import measure
import peers
import torch
from measure import MIB, Machine, Pairs
from torch import Tensor
from torch.nn import functional

from mmx.learn.global_batch import GlobalBatch
from mmx.learn.model import Model
from mmx.parts.group import SoloGroup
from mmx.parts.sizes import Sizes
from mmx_clip.configs import ClipLossConfig
from mmx_clip.loss import ClipLoss

WIDTH: Final = 512
LARGEST: Final = 65_536
TOLERANCE: Final = 1e-5
_WARM: Final = 256
_UNITS: Final = 4
_SECONDS: Final = 10.0
_PEER_BYTES: Final = 24.0
"""What open_clip's loss needs at its peak for each pair, until it has been measured: six matrices in fp32."""

Gradients = tuple[Tensor, Tensor, Tensor, Tensor]


@final
@dataclass(frozen=True)
class Inputs:
    """Unit vectors of images and texts that are a little alike, as early in training, and the scale of logits."""

    image: Tensor
    text: Tensor
    scale: Tensor

    @classmethod
    def draw(cls, batch: int, scale: float) -> "Inputs":
        """Draw the same inputs every time."""
        torch.manual_seed(0)
        image = functional.normalize(torch.randn(batch, WIDTH), dim=1)
        text = functional.normalize(torch.randn(batch, WIDTH).mul_(WIDTH**-0.5).add_(image, alpha=0.15), dim=1)
        return cls(image.requires_grad_(), text.requires_grad_(), torch.tensor(scale, requires_grad=True))


Loss = Callable[[Inputs], Tensor]


def of_mmx() -> Loss:
    """Return mmx's loss as a step of training calls it."""
    loss = ClipLoss(ClipLossConfig(name="clip"), Sizes(0, 0, 0, 0, 0, 0))

    def call(inputs: Inputs) -> Tensor:
        model = SimpleNamespace(fusion=SimpleNamespace(scale=lambda: inputs.scale))  # all that it asks of a model
        features = {loss.image: inputs.image, loss.text: inputs.text}
        return loss(GlobalBatch(features, SoloGroup(), 0), cast(Model, model))

    return call


def of_open_clip() -> Loss:
    """Return open_clip's loss at its default settings, which for one process are its only ones."""
    loss = peers.open_clip().ClipLoss()
    return lambda inputs: loss(inputs.image, inputs.text, inputs.scale)


LOSSES: Final = {"mmx": of_mmx, "open_clip": of_open_clip}


def forward_and_backward(loss: Loss, inputs: Inputs) -> Gradients:
    """Return the value and the gradients by image, text and scale."""
    value = loss(inputs)
    gradients = torch.autograd.grad(value, (inputs.image, inputs.text, inputs.scale))
    return (value.detach(), *cast("tuple[Tensor, Tensor, Tensor]", gradients))


def one(name: str, batch: int, scale: float) -> dict[str, float]:
    """Run one loss once, after a small run that warms the libraries, and return what it took."""
    loss = LOSSES[name]()
    forward_and_backward(loss, Inputs.draw(_WARM, scale))
    inputs = Inputs.draw(batch, scale)
    kept: dict[int, int] = {}
    results: list[Gradients] = []  # kept to the end: gradients are part of the peak

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def work() -> None:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            results.append(forward_and_backward(loss, inputs))

    seconds, extra = measure.with_peak(work)
    given = {tensor.untyped_storage().data_ptr() for tensor in (inputs.image, inputs.text, inputs.scale)}
    saved = sum(size for place, size in kept.items() if place not in given)
    return {"seconds": seconds, "extra": extra, "saved": saved}


def in_turns(ours: Loss, theirs: Loss, inputs: Inputs, pairs: int) -> tuple[float, Pairs]:
    """Return the largest relative difference of value and gradients, and the timings."""
    results = zip(forward_and_backward(ours, inputs), forward_and_backward(theirs, inputs), strict=True)
    # The gradient by the scale is a small difference of sums that grow with the scale: open_clip's rounds most there.
    by_scale = TOLERANCE * max(1.0, 0.07 * float(inputs.scale.detach()))
    names = ("loss", "gradient by images", "gradient by texts", "gradient by the scale")
    tolerances = (TOLERANCE, TOLERANCE, TOLERANCE, by_scale)
    differences = [
        measure.require_equal(f"batch {len(inputs.image)}: the {name}", mine, other, tolerance)
        for name, (mine, other), tolerance in zip(names, results, tolerances, strict=True)
    ]
    runs = (lambda: forward_and_backward(ours, inputs), lambda: forward_and_backward(theirs, inputs))
    return max(differences), measure.interleaved(*runs, pairs)


@final
class Table:
    """Prints a row for each batch size and remembers what does not hold."""

    def __init__(self, limits: Machine, scale: float, pairs: int) -> None:
        self._limits = limits
        self._scale = scale
        self._pairs = pairs
        self._losses = of_mmx(), of_open_clip()
        self._peer_bytes = _PEER_BYTES
        self.broken: list[str] = []

    def row(self, batch: int) -> str:
        """Measure one batch size."""
        ours, theirs = self._run("mmx", batch), self._peer(batch)
        if batch >= LARGEST and ours["extra"] >= 1024 * MIB:
            self.broken.append(f"mmx needs {ours['extra'] / MIB:.0f} MiB at {batch}")
        seconds, their_seconds, rest = ours["seconds"], None, "not compared, n=1"
        if theirs is not None:
            many = max(self._pairs, min(50, int(_SECONDS / (seconds + theirs["seconds"]))))  # more of short ones
            difference, pairs = in_turns(*self._losses, Inputs.draw(batch, self._scale), many)
            seconds, their_seconds = statistics.median(pairs.ours), statistics.median(pairs.theirs)
            rest = f"{pairs.describe()}, differ by {difference:.0e}"
            if pairs.interval()[1] < 1:
                self.broken.append(f"mmx is slower at {batch}")
        limit = _UNITS * 2e-9 * batch**2 * WIDTH / self._limits.gemm
        times = f"{seconds:9.3f} {_number(their_seconds, 3):>12} {limit:9.3f} {100 * limit / seconds:5.0f} %"
        return f"{batch:6} {times}  {_memory(ours):>16}  {_memory(theirs):>16}   {rest}"

    def _run(self, name: str, batch: int) -> dict[str, Any]:
        return measure.in_fresh_process(__file__, "--one", name, "--batches", str(batch), "--scale", str(self._scale))

    def _peer(self, batch: int) -> dict[str, Any] | None:
        if self._peer_bytes * batch**2 > 0.85 * measure.memory_left():
            return None
        found = self._run("open_clip", batch)
        if batch >= 2048:  # below, what does not grow with the batch counts too much
            self._peer_bytes = max(found["extra"] / batch**2, 16.0)
        return found


def _number(value: float | None, digits: int) -> str:
    return "does not fit" if value is None else f"{value:.{digits}f}"


def _memory(found: dict[str, Any] | None) -> str:
    return "does not fit" if found is None else f"{found['extra'] / MIB:.0f} / {found['saved'] / MIB:.0f}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1024 * 2**power for power in range(7)])
    parser.add_argument("--scale", type=float, default=1 / 0.07, help="factor on similarities; 100 is CLIP's largest")
    parser.add_argument("--pairs", type=int, default=5, help="the fewest timings of each, in turn")
    parser.add_argument("--one", choices=sorted(LOSSES), help="run this one once, and print what it took as JSON")
    return parser.parse_args()


def main() -> int:
    """Print the table."""
    args = arguments()
    if args.one:
        print(json.dumps(one(args.one, args.batches[0], args.scale)))
        return 0
    print(measure.head(f"Contrastive loss, forward and backward, fp32, d = {WIDTH}", "open_clip_torch"))
    limits = measure.machine(2048, WIDTH, 2048)
    print(limits.describe())
    print(
        f"limit: {_UNITS} products of 2 B^2 d operations at that rate; memory: peak extra / kept for the backward, MiB"
    )
    print(f"{'batch':>6} {'mmx s':>9} {'open_clip s':>12} {'limit s':>9} {'of it':>7}  {'mmx MiB':>16}  ", end="")
    print(f"{'open_clip MiB':>16}   times as fast (95 % interval)", flush=True)
    table = Table(limits, args.scale, args.pairs)
    for batch in args.batches:
        print(table.row(batch), flush=True)
    print(limits.drift(measure.machine(2048, WIDTH, 2048)))
    print("kept" if not table.broken else f"not kept: {'; '.join(table.broken)}")
    return 1 if table.broken else 0


if __name__ == "__main__":
    sys.exit(main())
