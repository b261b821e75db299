"""What W&B is told of a run: its metrics by step, its evaluations, their pictures, and a summary."""

from __future__ import annotations

import io
import netrc
import os
import shlex
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote, urlparse

from PIL import Image

from mmx.errors import CheckpointError
from mmx.evaluate.results import read_result
from mmx.parts.evaluator import Picture, Table
from mmx_wandb.task import Task

wandb: Final[Any] = import_module("wandb")  # an optional package: its types may not be there

PATIENCE: Final = 5
"""Calls that may fail one after another before W&B is given up."""
PICTURES: Final = 60
"""Pictures of a grid that are sent; the run folder has all."""
ROWS: Final = 1_000
"""Rows of a table that are sent; the run folder has all."""
HOSTS: Final = ("api.wandb.ai", "api.forge.coreweave.com")


def start(task: Task) -> Any:
    """Start the W&B run, or go on with it. Tables of an offline run wait in a folder for data: the run's own."""
    os.environ.setdefault("WANDB_DATA_DIR", str(Path(task.folder) / "wandb"))
    settings = wandb.Settings(
        init_timeout=task.limits.init,
        login_timeout=task.limits.init,
        console="off",
        silent=True,
        disable_git=True,  # a remote's address may hold a token
        disable_job_creation=True,
        save_code=False,
    )
    run = wandb.init(
        dir=task.folder,
        id=task.id,
        name=task.name,
        project=task.project,
        entity=task.entity,
        group=task.group,
        tags=list(task.tags),
        config=dict(task.config),
        mode=cast(Any, mode_of(task.mode)),
        resume="allow",
        settings=settings,
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return run


def mode_of(wanted: str) -> str:
    """Return W&B's mode: what was asked for; for "auto" that of the environment, or online where there is a key."""
    if wanted != "auto":
        return wanted
    given = os.environ.get("WANDB_MODE", "")
    if given in ("online", "offline", "disabled"):
        return given
    return "online" if has_key() else "offline"


def has_key() -> bool:
    """Return whether there is a key, in the environment or in netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    own = urlparse(os.environ.get("WANDB_BASE_URL", "")).hostname
    try:
        known = netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return any(host in known for host in (*HOSTS, own))


class Sender:
    """Turns rows of ``metrics.jsonl`` into calls of one W&B run."""

    def __init__(self, run: Any, task: Task) -> None:
        self.run = run
        self.task = task
        self.failures = 0
        self.summary: dict[str, float] = {}

    def send(self, row: Mapping[str, Any]) -> None:
        """Send one row. A few failures in a row are let pass: the run folder has every row."""
        kinds = {"step": step_values, "evaluation": self._evaluation}
        make = kinds.get(str(row.get("kind")))
        if make is None:
            return
        try:
            self.run.log(make(row))
            self.failures = 0
        except Exception:
            self.failures += 1
            if self.failures >= PATIENCE:
                raise

    def finish(self, status: str) -> str:
        """Send the summary, end the W&B run, and return a line that says where it is."""
        self.run.summary.update({**self.summary, "status": status})
        url, folder = str(self.run.url or ""), Path(str(self.run.dir)).parent
        self.run.finish(exit_code=0 if status in ("finished", "stopped") else 1)
        return (
            f"W&B: {url}" if url else f"W&B: kept offline; upload it with: {shlex.join(['wandb', 'sync', str(folder)])}"
        )

    def _evaluation(self, row: Mapping[str, Any]) -> dict[str, Any]:
        name = str(row["evaluator"])
        values: dict[str, Any] = {"step": row["step"]}
        for title, number in cast(Mapping[str, Mapping[str, Any]], row["numbers"]).items():
            values[f"{name}/{title}"] = number["value"]
            judged = {bound: number.get(bound) for bound in ("low", "high", "chance")}
            self.summary |= {
                f"{name}/{title}/{bound}": float(value) for bound, value in judged.items() if value is not None
            }
        return {**values, **self._media(name, row)} if self.task.pictures else values

    def _media(self, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the pictures and tables of an evaluation, up to ``PICTURES`` of a grid and ``ROWS`` of a table."""
        plain = f"evaluations/step-{int(row['step']):08d}/{quote(name, safe='')}.json"
        try:
            found = read_result(Path(self.task.folder) / str(row.get("file") or plain))
        except CheckpointError:
            return {}  # the numbers are worth sending without
        grids = {f"{name}/{grid}": _images(pictures) for grid, pictures in found.pictures.items() if pictures}
        return grids | {f"{name}/{title}": _table(table) for title, table in found.tables.items() if table.rows}


def step_values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's numbers under the names that W&B groups into panels."""
    parts = cast(Mapping[str, float], row.get("parts", {}))
    sources = cast(Mapping[str, Mapping[str, int]], row.get("sources", {}))
    reported = cast(Mapping[str, float], row.get("numbers", {}))
    tables = ("kind", "step", "parts", "sources", "numbers")
    numbers = {f"train/{name}": value for name, value in {**reported, **row}.items() if name not in tables}
    counts = {f"data/{name}/{what}": count for name, source in sources.items() for what, count in source.items()}
    return {"step": row["step"], **numbers, **{f"loss/{name}": value for name, value in parts.items()}, **counts}


def _images(pictures: Sequence[Picture]) -> list[Any]:
    """Return pictures by themselves: those inside a table would not be stored in the run of an offline one."""
    return [wandb.Image(Image.open(io.BytesIO(one.png)), caption=_caption(one)) for one in pictures[:PICTURES]]


def _caption(picture: Picture) -> str:
    truth = picture.truth if picture.rank is None else f"{picture.truth} (rank {picture.rank:,})"
    guesses = (f"{guess.score:.3f} {guess.name}" for guess in picture.guesses)
    return "\n".join(line for line in (picture.caption, truth, *guesses) if line)


def _table(table: Table) -> Any:
    return wandb.Table(
        columns=list(table.columns), data=[list(row) for row in table.rows[:ROWS]], allow_mixed_types=True
    )
