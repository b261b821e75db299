"""What a run leaves behind, read back for comparison: final state, ledger, and the samples behind the weights."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmx.checkpoint.listing import candidates
from mmx.checkpoint.manifest import Record
from mmx.checkpoint.read import read_checkpoint
from mmx.runs import ledger
from mmx.runs.ledger import Entry
from mmx.runs.lines import read_lines

Counted = tuple[int, int]
"""Samples that were trained on, and skipped."""


@dataclass(frozen=True)
class Final:
    """How a run ended."""

    step: int
    files: Mapping[str, str]
    """The sha256 of weights, losses and averages, optimizer and random state, and of the model by itself."""
    values: Mapping[str, Any]
    """What else a checkpoint holds, but for the time."""


def final(run: Path) -> Final:
    """Return the state of a run's newest checkpoint, which must be good."""
    found = read_checkpoint(candidates(run / "checkpoints")[0].path)
    files = {name: record.sha256 for name, record in found.manifest.files.items() if name != "state.json"}
    model = run / "model" / "model.safetensors"
    if model.is_file():
        files["model/model.safetensors"] = Record.of(model.read_bytes()).sha256
    return Final(found.manifest.step, files, {k: v for k, v in found.values.items() if k != "seconds"})


def entries(run: Path) -> list[Entry]:
    """Return a run's ledger."""
    return ledger.read(run / "ledger.jsonl")


def starts(run: Path) -> list[int]:
    """Return the steps that a run started and restarted after, as far as it went on from there."""
    return [row["start"] for row in read_lines(run / "metrics.jsonl") if row["kind"] == "run"]


def counted(run: Path) -> dict[str, Counted]:
    """Return how many samples of each source were trained on and skipped, summed over all records."""
    found: dict[str, Counted] = {}
    for row in read_lines(run / "metrics.jsonl"):
        for source, counts in row.get("sources", {}).items():
            trained, bad = found.get(source, (0, 0))
            found[source] = trained + counts["trained"], bad + counts["skipped"]
    return found


def skipped(run: Path) -> list[dict[str, Any]]:
    """Return what a run tells of each time that a sample was skipped."""
    return read_lines(run / "skipped.jsonl")


def lost_and_repeated(found: Sequence[Entry], per_epoch: int, batch: int, steps: int) -> tuple[int, int]:
    """Count samples of the run's steps that were never trained on, and those that were more than once."""
    seen = Counter((entry.epoch, entry.start + row) for entry in found for row in range(entry.rows))
    due = {(step // per_epoch, step % per_epoch * batch + row) for step in range(steps) for row in range(batch)}
    return len(due - set(seen)), sum(seen.values()) - len(seen) + len(set(seen) - due)
