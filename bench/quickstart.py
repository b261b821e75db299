"""Run the main job for several seeds, and hold its accuracy and time against what the README promises.

    python bench/quickstart.py --seeds 0 1 2

Prints a row a seed: accuracy on the artist never trained on, and seconds of training with evaluation and checkpoints.
Exits with 1 where a seed is below the promise. Time depends on the machine; it is printed, not judged.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

PROMISED: Final = {"top1": 0.28, "top5": 0.50}


def run(recipe: str, seed: int, out: str) -> dict[str, Any]:
    """Train once in a process of its own and return what ``--json`` prints."""
    command = [sys.executable, "-m", "mmx", "run", recipe, "--set", f"seed={seed}", "--out", out, "--json", "--quiet"]
    started = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return {**json.loads(done.stdout), "wall": time.monotonic() - started}


def main() -> int:
    """Run every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", default="recipes/quickstart.toml")
    args = parser.parse_args()
    kept = True
    print("seed   top-1   top-5   unseen top-5 among own   training s   command s")
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as out:
            result = run(args.recipe, seed, out)
        found = {name: number["value"] for name, number in result["evaluations"]["unseen_artist"].items()}
        kept = kept and all(found[name] >= least for name, least in PROMISED.items())
        row = (found["top1"], found["top5"], found["unseen.among_own.top5"])
        shares = "   ".join(f"{100 * share:5.1f}" for share in row)
        print(f"{seed:4}   {shares}   {result['seconds']:26.0f}   {result['wall']:9.0f}", flush=True)
    print("kept" if kept else f"below what is promised: {PROMISED}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
