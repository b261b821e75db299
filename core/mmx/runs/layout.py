"""What is in the folder of a run, and under which names. Never imports torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from pydantic import TypeAdapter, ValidationError

from mmx.checkpoint.atomic import write_bytes
from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError
from mmx.runs.ledger import Ledger
from mmx.runs.lines import JsonLines
from mmx.runs.lock import RunLock
from mmx.wording import counted

FILES: Final = "files"
"""The folder in a run's folder of copies of files that parts are built from."""
Word = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Status:
    """How far a run is. One that was killed still says that it is running."""

    status: Word
    step: int
    reason: str = ""


@dataclass(frozen=True)
class RunFolder:
    """One run's folder. The files in it have fixed names."""

    path: Path

    def is_run(self) -> bool:
        """Return whether there is a run in the folder."""
        return os.path.isfile(self.resolved)

    @property
    def recipe(self) -> Path:
        """The recipe as it was given."""
        return self.path / "recipe.toml"

    @property
    def resolved(self) -> Path:
        """The recipe with every value filled in. A folder with this file is a run."""
        return self.path / "resolved.toml"

    @property
    def model(self) -> Path:
        """The folder of the model by itself."""
        return self.path / "model"

    @property
    def evaluations(self) -> Path:
        """The folder of evaluations."""
        return self.path / "evaluations"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def metrics(self) -> JsonLines:
        """Return ``metrics.jsonl``, to append to."""
        return JsonLines(self.path / "metrics.jsonl")

    def ledger(self) -> Ledger:
        """Return ``ledger.jsonl``, to append to."""
        return Ledger(self.path / "ledger.jsonl")

    def skipped(self) -> JsonLines:
        """Return ``skipped.jsonl``, to append to: each time that a sample was skipped, and why."""
        return JsonLines(self.path / "skipped.jsonl")

    def store(self, keep_last: int, keep_best: bool) -> Store:
        """Return the run's checkpoints; each is marked with the sha256 of the resolved recipe."""
        return Store(self.path, keep_last, keep_best, hashlib.sha256(self.resolved.read_bytes()).hexdigest())

    def lock(self) -> RunLock:
        """Return the lock to hold while the run is written."""
        return RunLock(self.path)

    def environment(self) -> dict[str, Any]:
        """Return ``env.json``: what the run was started with."""
        return _read_json(self.path / "env.json")

    def status(self) -> Status:
        """Return how far the run is."""
        path = self.path / "status.json"
        try:
            return TypeAdapter(Status).validate_python(_read_json(path))
        except ValidationError as error:
            raise CheckpointError(f"{path} is not the status of a run: {error.errors()[0]['msg']}") from error

    def write_status(self, status: Word, step: int, reason: str = "") -> None:
        """Write how far the run is; whole or not at all."""
        path = self.path / "status.json"
        try:
            write_bytes(path, dump(asdict(Status(status, step, reason))))
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror}") from error

    def rewind(self, step: int, say: Callable[[str], None]) -> None:
        """Cut metrics, ledger and skipped back to the step the run goes on from, so that they read as if never interrupted."""
        for name, cut in (
            ("metrics.jsonl", self.metrics().cut(step)),
            ("ledger.jsonl", self.ledger().truncate(step)),
            ("skipped.jsonl", self.skipped().cut(step)),
        ):
            if cut.later:
                say(f"{name}: {counted(cut.later, 'row')} after step {step} cut off; the steps are taken again")
            if cut.unreadable:
                say(f"{name}: dropped {counted(cut.unreadable, 'line')} that cannot be read")


def dump(values: dict[str, Any]) -> bytes:
    """Return values as a JSON file's bytes."""
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return cast(dict[str, Any], values)


def recipe_name(recipe: str) -> str:
    """Return the name of a recipe, fit for a folder: its file's name without the ending."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(recipe).name.removesuffix(".toml")).strip("-.") or "recipe"
