"""What a checkpoint of CLIP ViT-L/14 with AdamW costs: memory, the time that training waits, and bytes on disk.

    .venv/bin/python bench/checkpoint.py                        # needs 8 GiB of memory and 20 GiB of disk
    .venv/bin/python bench/checkpoint.py --recipe clip_b32 --folder /mnt/runs

Weights, gradients and moments have their real sizes; no step is computed. Before each save, the same tensors go from
memory to one file in the plainest way that gives what a checkpoint promises: their bytes are hashed (sha256) and written
in pieces of 16 MiB, the file is synced, and it is read back from the disk and hashed again. The table has that time
without and with the reading; the ratio is to the latter. Exits with 1 where a save needs more than 600 MiB above the
training state, or more than 1.3 times the time of the plain way.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import measure
import torch
from measure import MIB

from mmx.checkpoint.state import capture
from mmx.checkpoint.store import Store
from mmx.checkpoint.streaming import NeverTrained, write_together
from mmx.checkpoint.tensors import content_of
from mmx.parts.lazy import Tensors
from mmx.plugin.manager import Plugins
from mmx.recipe import load
from mmx.train.build import engine_of
from mmx.train.experiment import build_experiment

MOST_MEMORY: Final = 600 * MIB
MOST_TIME: Final = 1.3
_PIECE: Final = 1 << 24


@final
class Training:
    """Everything that lies in memory between two steps, and its checkpoints."""

    def __init__(self, recipe: str, image: str, run: Path) -> None:
        plugins = Plugins()
        values = (f"image_encoder.train={image}", "parallel.device=cpu", "train.steps=10000", "train.micro_batches=1")
        data = ("data.batch=8", "data.train.name=emoji", "data.train.split=train", 'data.train.styles=["noto"]')
        loaded = load(recipe, (*values, *data), (), plugins.registries)
        self.engine = engine_of(loaded, plugins.registries)
        experiment = build_experiment(loaded, plugins, self.engine)
        self.plan = experiment
        self.never = NeverTrained(experiment.objective)
        self.engine.prepare(experiment.objective, self.plan.optimizer)
        for parameter in experiment.objective.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.full_like(parameter, 1e-3)
                moments = {name: torch.full_like(parameter, 1e-3) for name in ("exp_avg", "exp_avg_sq")}
                self.plan.optimizer.state[parameter] = {"step": torch.tensor(1.0), **moments}
        self.store = Store(run, keep_last=1, keep_best=False)

    def save(self, step: int) -> None:
        """Save as a run does."""
        tensors, values = capture(self.engine)
        moving, frozen = self.never.apart(self.engine, tensors)
        once = {f"frozen.{group}": named for group, named in (frozen or {}).items()}

        def write(groups: Mapping[str, Tensors]) -> None:
            fixed = None if frozen is None else {group: groups[f"frozen.{group}"] for group in frozen}
            self.store.save(step, {group: groups[group] for group in moving}, values, None, fixed)

        write_together(self.engine, {**once, **moving}, write)
        self.never.stored()

    def written(self, stored: bool) -> dict[str, Tensors]:
        """Return what a save writes, before or after the frozen part was stored."""
        tensors, _ = capture(self.engine)
        return self.never.apart(self.engine, tensors)[0] if stored else tensors


def plain(tensors: Mapping[str, Tensors], path: Path) -> None:
    """Hash and write the bytes of tensors, one after the other, and wait until they are on the disk."""
    digest = hashlib.sha256()
    with open(path, "wb", buffering=0) as file:
        for group, named in tensors.items():
            for whole in content_of(group, named).pieces():
                for start in range(0, len(whole), _PIECE):
                    part = memoryview(whole)[start : start + _PIECE]
                    digest.update(part)
                    while part:
                        part = part[file.write(part) :]
        os.fsync(file.fileno())


def back(path: Path) -> None:
    """Read a file from the disk, and hash it."""
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        hashlib.file_digest(file, "sha256")


def case(recipe: str, image: str, folder: Path) -> dict[str, Any]:
    """Measure the first save, which writes what is never trained too, and a later one where there is such a part."""
    run = Path(tempfile.mkdtemp(prefix="checkpoint-", dir=folder))
    try:
        training = Training(recipe, image, run)
        saves: list[dict[str, float]] = []
        for step in (1,) if image == "full" else (1, 2):
            tensors, path = training.written(stored=step > 1), run / "plain"
            write = measure.seconds(lambda tensors=tensors, path=path: plain(tensors, path))
            read = measure.seconds(lambda path=path: back(path))
            size = path.stat().st_size
            path.unlink()
            ours, peak = measure.with_peak(lambda step=step: training.save(step))
            saves.append({"bytes": size, "ours": ours, "peak": peak, "write": write, "plain": write + read})
        frozen = sum(path.stat().st_size for path in run.glob("frozen/*"))
        return {"saves": saves, "frozen": frozen}
    finally:
        shutil.rmtree(run)


def rows(name: str, found: dict[str, Any]) -> list[str]:
    """Return a line for each save."""
    lines: list[str] = []
    for place, save in enumerate(found["saves"]):
        lines.append(
            f"{name:<20}{('first', 'later')[place]:<7}{save['bytes'] / 1e9:>8.2f}{found['frozen'] / 1e9:>8.2f}"
            f"{save['peak'] / MIB:>8.0f}{save['ours']:>9.1f}{save['write']:>9.1f}{save['plain']:>11.1f}"
            f"{save['ours'] / save['plain']:>8.2f}"
        )
    return lines


def main() -> int:
    """Print the table, each case in a process of its own, and say whether the limits hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipe", default="clip_l14")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to measure")
    parser.add_argument("--case", choices=("full", "frozen"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        json.dump(case(options.recipe, options.case, options.folder), sys.stdout)
        return 0
    print(measure.head(f"Saving {options.recipe} with AdamW, image tower trained and frozen"))
    print(
        f"{'image tower':<20}{'save':<7}{'GB':>8}{'frozen':>8}{'MiB':>8}{'seconds':>9}{'plain':>9}{'+ reading':>11}{'ratio':>8}"
    )
    within = True
    for name in ("full", "frozen"):
        found = measure.in_fresh_process(
            __file__, "--recipe", options.recipe, "--folder", f"{options.folder}", "--case", name
        )
        print("\n".join(rows(name, found)), flush=True)
        within &= all(
            save["peak"] <= MOST_MEMORY and save["ours"] <= MOST_TIME * save["plain"] for save in found["saves"]
        )
    print("within the limits" if within else "NOT within the limits: 600 MiB, and 1.3 times the plain way")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
