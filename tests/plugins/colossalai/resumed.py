"""Runs of a small recipe in the processes of a pool, as ``mmx run`` would start them."""

import os
from pathlib import Path
from typing import Any

from mmx.runs.request import RunRequest
from mmx.train import api
from mmx.train.prepare import prepare

SMALL = (
    "image_encoder.width=32",
    "image_encoder.layers=2",
    "image_encoder.heads=2",
    "text_encoder.width=32",
    "text_encoder.layers=2",
    "data.batch=16",
    "data.workers=0",
    "optim.schedule.name=constant",  # which does not depend on how long the run is
    "optim.schedule.warmup=0",
    "trackers.terminal.enabled=false",
    "trackers.report.enabled=false",
)


def run(out: Path, rank: int, count: int, steps: int, *options: str, evaluate: bool = False) -> dict[str, Any]:
    """Train to a step: start a run, or go on with it where it is there. One process is the local engine's."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
    folder = out / "run"
    there = folder.exists()
    engine = () if count == 1 else ('parallel.engine="colossalai"', 'parallel.device="cpu"')
    left_out = ("train.epochs",) if evaluate else ("train.epochs", "evaluators")
    adamw = () if any(option.startswith("optim.name") for option in options) or there else ("optim.eps=1e-3",)
    given = (*engine, *adamw, *options, f"train.steps={steps}")
    if there:
        unset = ("parallel",) if count == 1 else ()
        request = RunRequest(None, given, unset, resume=str(folder), out=out)
    else:
        request = RunRequest(Path("quickstart_vit"), (*SMALL, *given), left_out, out=out, name="run")
    said: list[str] = []
    return {**api.run(prepare(request, said.append), said.append).summary, "said": said}


def in_pool(out: Path, count: int, steps: int, *options: str, evaluate: bool = False) -> dict[str, Any]:
    """The same in each process of a pool."""
    import torch.distributed as dist

    return run(out, dist.get_rank(), count, steps, *options, evaluate=evaluate)
