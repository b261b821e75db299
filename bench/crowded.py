"""Training and the contrastive loss, alone and beside busy programs: mmx's as it is, as torch would have it, and open_clip's.

    .peers/bin/python bench/crowded.py
    .peers/bin/python bench/crowded.py --steps 20 --rounds 1 --batches 1024      # quick, to see that it works

In an environment as bench/peers.py describes, on a machine where nothing else runs. A busy program is a loop of Python,
which takes one core. Training is `mmx run quickstart` from its start to its end, without its evaluation (what it
imports needs a torchvision that loads), and as many steps of open_clip's model of about the same size, import and build
included; so seconds of the two are not compared, but what becomes of each beside others. The loss is timed in turns in
two processes, each with the threads that its users have.

Exits with 1 where mmx's training beside others has less than half of its speed alone; where alone it is not 10 % quicker
than with threads that spin, as torch has them by itself; or where its loss is slower than open_clip's.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast, final

import measure
from measure import Pairs

from mmx.launch.threads import NUMBER, WAITING

SPINNING: Final = {"GOMP_SPINCOUNT": "300000"}
"""What libgomp does by itself where there are no more threads than cores."""
LEAST: Final = 0.5
QUICKER: Final = 1.1
SCALE: Final = 1 / 0.07
_ROWS: Final = 128
Way = Callable[[int], float]


@contextmanager
def beside(count: int) -> Generator[None]:
    """Let some busy programs run."""
    busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment, with no wish for threads but those given."""
    return {name: value for name, value in os.environ.items() if name not in (*WAITING, *NUMBER)} | more


def run(steps: int, **more: str) -> float:
    """Return the seconds of a command that trains with mmx."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "mmx", "run", "quickstart", "--out", out, "--quiet"]
        command += ["--unset", "train.epochs", "--unset", "evaluators", "--set", f"train.steps={steps}"]
        return _timed(command, environment(**more))


def peer(steps: int) -> float:
    """Return the seconds of a command that trains with open_clip."""
    return _timed([sys.executable, __file__, "--as-peer", str(steps)], environment())


def _timed(command: Sequence[str], env: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


WAYS: Final[dict[str, Way]] = {
    "mmx": run,
    "mmx, threads spin": lambda steps: run(steps, **SPINNING),
    "open_clip": peer,
}


def as_peer(steps: int) -> None:
    """Train a small model of open_clip's on random pictures and texts that are in memory."""
    import peers
    import torch

    clip = peers.open_clip()
    vision = {"image_size": 32, "patch_size": 8, "width": 192, "layers": 3, "head_width": 48}
    text = {"context_length": 12, "vocab_size": 12_000, "width": 128, "heads": 2, "layers": 1}
    model = clip.CLIP(128, vision, text).train()
    loss, optimizer = clip.ClipLoss(), torch.optim.AdamW(model.parameters(), lr=1e-4)
    pixels, ids = torch.randn(_ROWS, 3, 32, 32), torch.randint(1, 11_999, (_ROWS, 12))
    for _ in range(steps):
        optimizer.zero_grad()
        loss(*model(pixels, ids)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def as_loss(name: str, batch: int) -> None:
    """Compute a loss and its gradients once for each line that comes in, and answer with a line."""
    import loss

    compute, inputs = loss.LOSSES[name](), loss.Inputs.draw(batch, SCALE)
    loss.forward_and_backward(compute, inputs)
    for _ in sys.stdin:
        print(measure.seconds(lambda: loss.forward_and_backward(compute, inputs)), flush=True)


@final
class Loss:
    """A process that computes a loss when it is asked."""

    def __init__(self, name: str, batch: int) -> None:
        # As mmx starts: before torch is imported, which this file does.
        settled = "from mmx.launch.threads import settle; settle(); " if name == "mmx" else ""
        command = [sys.executable, "-c", f"{settled}import crowded; crowded.as_loss({name!r}, {batch})"]
        self._process = subprocess.Popen(
            command,
            env=environment(PYTHONPATH=str(Path(__file__).parent)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self()  # so that it is ready

    def __call__(self) -> float:
        """Return the seconds of one computation."""
        to, back = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        print(file=to, flush=True)
        return float(back.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def losses(batch: int, busy: int, pairs: int) -> Pairs:
    """Time both losses in turns beside some busy programs."""
    ours, theirs = Loss("mmx", batch), Loss("open_clip", batch)
    try:
        with beside(busy):
            times = [(ours(), theirs()) for _ in range(pairs)]
    finally:
        ours.close()
        theirs.close()
    return Pairs(tuple(mine for mine, _ in times), tuple(other for _, other in times))


def training(steps: int, counts: Sequence[int], rounds: int) -> list[str]:
    """Print what a command takes beside each number of busy programs; return what is not kept."""
    found: dict[tuple[str, int], list[float]] = {(name, busy): [] for name in WAYS for busy in counts}
    for _ in range(rounds):
        for busy in counts:
            for name, way in WAYS.items():
                with beside(busy):
                    found[name, busy].append(way(steps))
    middle = {key: statistics.median(times) for key, times in found.items()}
    print(f"{steps} steps with their start, seconds (the speed of the same alone is 100 %), median of {rounds}")
    print(f"{'':20}" + "".join(f"{_beside(busy):>20}" for busy in counts))
    for name in WAYS:
        cells = (f"{middle[name, busy]:.1f} ({100 * middle[name, 0] / middle[name, busy]:.0f} %)" for busy in counts)
        print(f"{name:20}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    missed = [
        f"beside {busy} training has {middle['mmx', 0] / middle['mmx', busy]:.2f} of its speed alone"
        for busy in counts
        if middle["mmx", busy] * LEAST > middle["mmx", 0]
    ]
    times = middle["mmx, threads spin", 0] / middle["mmx", 0]
    return (
        missed if times >= QUICKER else [*missed, f"alone it is {times:.2f} times as quick as with threads that spin"]
    )


def contrastive(batches: Sequence[int], counts: Sequence[int], pairs: int) -> list[str]:
    """Print how quick the losses are beside each number of busy programs; return what is not kept."""
    print(
        "the contrastive loss, forward and backward, seconds of mmx / of open_clip, and times as fast (95 % interval)"
    )
    missed: list[str] = []
    for batch in batches:
        for busy in counts:
            found = losses(batch, busy, pairs)
            mine, other = statistics.median(found.ours), statistics.median(found.theirs)
            print(f"{batch:6} {_beside(busy):>12} {mine:8.3f} / {other:.3f}   {found.describe()}", flush=True)
            if found.interval()[1] < 1:
                missed.append(f"the loss of {batch} beside {busy} is {found.ratio:.2f} times as fast as open_clip's")
    return missed


def _beside(count: int) -> str:
    return "alone" if count == 0 else f"beside {count}"


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[1, 2], help="how many busy programs; alone comes first")
    parser.add_argument("--batches", type=int, nargs="*", default=[256, 1024, 4096])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--as-peer", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer is not None:
        as_peer(args.as_peer)
    else:
        print(measure.head("Alone and beside busy programs", "open_clip_torch"), flush=True)
        counts = [0, *args.busy]
        missed = training(args.steps, counts, args.rounds) if args.steps else []
        missed += contrastive(args.batches, counts, args.pairs)
        print("kept" if not missed else f"not kept: {'; '.join(missed)}")
        return 1 if missed else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
