"""Images per second and memory of mmx's input pipeline, beside open_clip's own webdataset pipeline.

    .peers/bin/python bench/data.py

In an environment as bench/peers.py describes, with webdataset 0.2.86, which open_clip 3.3.0 asks for, and with the
packages that bench/pictures.py takes photographs from. Both read the same shards, decode, crop at random
(RandomResizedCrop, scale 0.9 to 1), resize to 224, tokenise and stack batches of 64, on the same cores. open_clip's
batches are normalised floats; mmx's are bytes, which it normalises where the model is.

Before anything is timed, ids of captions are found equal, and pixels of the same crop boxes close: PSNR above 60 dB over
all that are compared. The worst picture is printed too: Pillow resizes some tall pictures vertically first, torch never
does, and both round in between.

Every figure is of a process of its own that reads all samples once, from opening the dataset to the last batch; they take
turns. The first round is not timed: memory is measured in it. Exits with 1 where mmx is below 2 times open_clip's images
per second (1.5 times at 1024 pixels), or needs more than half of its memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import measure
import pictures
import pipelines
from measure import MIB, Pairs

NAMES: Final = ("mmx", "open_clip", "mmx, draft", "decode")
LEAST: Final = {256: 2.0, 512: 2.0, 1024: 1.5}
SAMPLES: Final = {256: 2048, 512: 2048, 1024: 1024}
MOST_MEMORY: Final = 0.5
_EVERY: Final = 0.1

Found = dict[str, Any]


def run(*arguments: str) -> Found:
    """Run this script in a process of its own, and return what it prints."""
    return measure.in_fresh_process(__file__, *arguments)


def run_watched(*arguments: str) -> int:
    """Do the same, and return the most memory that its processes had at once, in bytes; what they share counts once."""
    child = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.DEVNULL)
    most = 0
    while child.poll() is None:
        most = max(most, measure.proportional(child.pid))
        time.sleep(_EVERY)
    if child.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {child.returncode}")
    return most


@final
class Case:
    """Pictures of one size: their shards, and what was measured."""

    def __init__(self, side: int, folder: Path, workers: int) -> None:
        self.side, self.samples, self.workers = side, SAMPLES[side], workers
        self.urls = pictures.shards(folder, side, self.samples)
        self.memory: dict[str, int] = {}
        self.found: dict[str, list[Found]] = {name: [] for name in NAMES}

    def check(self) -> str:
        """Compare pixels and ids with open_clip's."""
        same = run("--one", "check", "--urls", self.urls)
        return (
            f"{self.side} px: {self.samples} pictures, {same['bytes'] / 1024:.0f} KiB and {same['megapixels']:.2f} "
            f"megapixels each; the same boxes give {same['psnr']:.1f} dB ({same['worst']:.1f} for the worst "
            f"picture, largest difference {same['largest']}); captions of {same['tokens']:.1f} tokens, ids equal"
        )

    def measure(self, rounds: int) -> None:
        """Let each of them run in turn."""
        for name in NAMES[:-1]:
            self.memory[name] = run_watched(*self._arguments(name))
        for _ in range(rounds):
            for name in NAMES:
                self.found[name].append(run(*self._arguments(name)))

    def _arguments(self, name: str) -> Sequence[str]:
        numbers = ("--samples", str(self.samples), "--workers", str(self.workers))
        return ("--one", name, "--urls", self.urls, *numbers)

    def pairs(self, name: str) -> Pairs:
        """Return the times of one of mmx's pipelines beside open_clip's."""
        ours, theirs = (tuple(one["seconds"] for one in self.found[who]) for who in (name, "open_clip"))
        return Pairs(ours, theirs)

    def row(self, name: str) -> str:
        """Return the line of one pipeline."""
        rates = sorted(one["images"] / one["seconds"] for one in self.found[name])
        cpu, first = (statistics.median(one[key] for one in self.found[name]) for key in ("cpu", "first"))
        line = f"  {name:<12} {statistics.median(rates):7.0f} ({rates[0]:.0f} to {rates[-1]:.0f})"
        line = f"{line:<38} {1000 * cpu / self.samples:7.2f}"
        if name == "decode":
            return f"{line}  (the limit: Pillow decodes JPEG files that are in memory, and nothing else)"
        limit = statistics.median(rates) / self._limit()
        line = f"{line} {100 * limit:8.0f} % {first:8.2f} {self.memory[name] / MIB:7.0f}"
        if name == "open_clip":
            return line
        share = self.memory["open_clip"] / self.memory[name]
        return f"{line}   {self.pairs(name).describe()} times as fast, {share:.1f} times less memory"

    def _limit(self) -> float:
        return statistics.median(one["images"] / one["seconds"] for one in self.found["decode"])

    def missed(self) -> list[str]:
        """Return what is promised and not kept."""
        ratio, share = self.pairs("mmx").ratio, self.memory["mmx"] / self.memory["open_clip"]
        found = [f"{self.side} px: {ratio:.2f} times, below {LEAST[self.side]}"] if ratio < LEAST[self.side] else []
        if share > MOST_MEMORY:
            found.append(f"{self.side} px: {100 * share:.0f} % of the memory, above {100 * MOST_MEMORY:.0f} %")
        return found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", choices=sorted(LEAST), default=sorted(LEAST))
    parser.add_argument("--pairs", type=int, default=5, help="timings of each, in turn")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "mmx-bench-data")
    parser.add_argument("--one", choices=(*NAMES, "check"), help="run this one once, and print what it took as JSON")
    parser.add_argument("--urls", default="")
    parser.add_argument("--samples", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    """Print the table."""
    args = arguments()
    if args.one:
        check = args.one == "check"
        found = (
            pipelines.check(args.urls) if check else pipelines.epoch(args.one, args.urls, args.samples, args.workers)
        )
        print(json.dumps(found))
        return 0
    print(
        measure.head(f"Shards to batches of {pipelines.BATCH}, {args.workers} workers", "open_clip_torch", "webdataset")
    )
    print(measure.machine(2048, 512, 2048).describe())
    print(
        f"Normalising in the step, not counted here: {1000 * pipelines.normalising() / pipelines.BATCH:.3f} ms an image"
    )
    print(f"Pictures: {pictures.DESCRIPTION}")
    print(
        f"  {'':<12} {'images/s':>7} {'(range)':<16} {'CPU ms':>7} {'of limit':>10} {'first s':>8} {'MiB':>7}",
        flush=True,
    )
    missed: list[str] = []
    for side in args.sides:
        case = Case(side, args.folder, args.workers)
        print(case.check(), flush=True)
        case.measure(args.pairs)
        print("\n".join(case.row(name) for name in NAMES), flush=True)
        missed += case.missed()
    print("kept" if not missed else f"not kept: {'; '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
