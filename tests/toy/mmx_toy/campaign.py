"""Killing runs: each trial kills the process group of one run at random moments and lets it go on to its end."""

import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmx.errors import MmxError
from mmx.runs.ledger import Entry
from mmx_toy.proof import Counted, Final, counted, entries, final, lost_and_repeated, skipped, starts
from mmx_toy.server import Job, launch

STEPS, PER_EPOCH, BATCH = 48, 7, 6
RECIPE = (
    f"train.steps={STEPS}",
    "checkpoint.every_steps=3",
    "evaluators.match.name='toy'",
    "evaluators.match.every=10",
)


@dataclass(frozen=True)
class Course:
    """What is trained, in ``STEPS`` steps of ``BATCH`` samples."""

    overrides: tuple[str, ...] = RECIPE
    unset: tuple[str, ...] = ()
    per_epoch: int = PER_EPOCH
    """Steps of an epoch."""


TOY = Course()


@dataclass(frozen=True)
class Kill:
    """One SIGKILL."""

    step: int
    """Steps in the ledger at that moment."""
    hit: bool
    """Whether there was a process to kill."""
    saving: bool
    """Whether a checkpoint was being written: its half is still there."""


@dataclass
class Trial:
    """What became of one run."""

    workers: int
    kills: list[Kill] = field(default_factory=list[Kill])
    starts: list[int] = field(default_factory=list[int])
    """The step that each start went on from."""
    replayed: list[Entry] = field(default_factory=list[Entry])
    """All rows that the ledger ever had."""
    entries: list[Entry] = field(default_factory=list[Entry])
    """The ledger at the end."""
    final: Final | None = None
    trouble: str = ""
    """What went wrong, in words."""
    course: Course = TOY
    counted: Mapping[str, Counted] = field(default_factory=dict[str, Counted])
    """Samples by source, summed over all records."""
    skipped: Sequence[Mapping[str, Any]] = ()
    """Rows of skipped.jsonl."""


@dataclass(frozen=True)
class Verdict:
    """What a campaign showed."""

    kills: int
    saving: int
    restarts: int
    resumed: int
    """Restarts that went on from a step after 0."""
    equal: int
    """Runs whose final state is bit for bit that of the unbroken one."""
    runs: int
    lost: int
    repeated: int
    problems: tuple[str, ...]


def unbroken(out: Path, naive: str = "", course: Course = TOY) -> Trial:
    """Return a run that nobody kills."""
    trial = Trial(workers=0, course=course)
    job = launch(out, *course.overrides, naive=naive, unset=course.unset)
    _finish(trial, job)
    assert trial.trouble == "", trial.trouble
    return trial


def attack(out: Path, workers: int, seed: int, naive: str = "", late: bool = False, course: Course = TOY) -> Trial:
    """Run once, with two kills: one at any moment, the other at a moment when a checkpoint is written.

    Args:
        out: the folder for the run.
        workers: data workers.
        seed: of the moments.
        naive: which precaution is undone.
        late: whether each kill comes when the run has ended already.
        course: what is trained.
    """
    draw, trial = random.Random(seed), Trial(workers, course=course)
    at_save = [True, False]
    draw.shuffle(at_save)
    targets = (draw.randrange(4, STEPS // 2 - 4), draw.randrange(STEPS // 2, STEPS - 6))
    job = launch(out, *course.overrides, f"data.workers={workers}", naive=naive, unset=course.unset)
    for target, saving in zip(targets, at_save, strict=True):
        trial.kills.append(_strike(job, STEPS + late if late else target, saving, draw.uniform(0, 0.02)))
        try:
            trial.replayed += entries(job.run)
            trial.starts = starts(job.run)
        except MmxError as error:
            trial.trouble = f"the ledger cannot be read: {error}"
            return trial
        job = launch(out, resume=job.run, naive=naive)
    _finish(trial, job)
    return trial


def _strike(job: Job, target: int, at_save: bool, delay: float) -> Kill:
    before = job.saving()
    gone = False

    def wait(reached: bool) -> bool:
        nonlocal gone
        gone = job.poll() is not None
        time.sleep(0.0005)
        return reached or gone

    while not wait(_last_step(job.run) >= target):
        pass
    while at_save and not wait(bool(job.saving() - before)):
        pass
    time.sleep(delay / 4 if at_save else delay)
    if job.poll() is None:
        job.signal(signal.SIGKILL)
    hit = job.wait() == -signal.SIGKILL
    return Kill(_last_step(job.run), hit, hit and bool(job.saving() - before))


def _last_step(run: Path) -> int:
    path = run / "ledger.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _finish(trial: Trial, job: Job) -> None:
    code = job.wait()
    if code != 0:
        trial.trouble = f"exit code {code}: {job.text()[-600:]}"
        return
    trial.starts = starts(job.run)
    trial.entries, trial.final = entries(job.run), final(job.run)
    trial.counted, trial.skipped = counted(job.run), skipped(job.run)
    trial.replayed += trial.entries


def judge(trials: Sequence[Trial], reference: Trial) -> Verdict:
    """Compare runs with the unbroken one. Without enough kills, and at the right moments, nothing is shown."""
    kills = [kill for trial in trials for kill in trial.kills]
    restarts = [start for trial in trials for start in trial.starts[1:]]
    problems = [f"run {number}: {trouble}" for number, one in enumerate(trials) for trouble in _faults(one, reference)]
    counts = [lost_and_repeated(trial.entries, trial.course.per_epoch, BATCH, STEPS) for trial in trials]
    saving, resumed = sum(kill.saving for kill in kills), sum(start > 0 for start in restarts)
    missed = sum(not kill.hit for kill in kills)
    if missed or len(kills) < 2 * len(trials):
        problems.append(f"{missed} of {len(kills)} kills missed")
    if len(restarts) < 2 * len(trials) or 10 * resumed < 9 * len(restarts):
        problems.append(f"only {resumed} of {2 * len(trials)} restarts went on from a checkpoint")
    if 5 * saving < len(kills):
        problems.append(f"only {saving} of {len(kills)} kills came while a checkpoint was written")
    equal = sum(trial.final is not None and trial.final == reference.final for trial in trials)
    lost, repeated = sum(count for count, _ in counts), sum(count for _, count in counts)
    return Verdict(len(kills), saving, len(restarts), resumed, equal, len(trials), lost, repeated, tuple(problems))


def _faults(trial: Trial, reference: Trial) -> list[str]:
    expected = {entry.step: entry for entry in reference.entries}
    differing = sorted({entry.step for entry in trial.replayed if entry != expected[entry.step]})
    samples = sorted({entry.step for entry in trial.replayed if entry.digest != expected[entry.step].digest})
    found = [trial.trouble] * bool(trial.trouble)
    found += [f"other samples than the unbroken run at steps {samples}"] * bool(samples)
    found += [f"another loss or place at steps {differing}"] * bool(differing)
    found += ["the final state differs"] * (trial.final != reference.final)
    found += [f"other counts by source: {trial.counted}"] * (trial.counted != reference.counted)
    found += ["other samples are told to be skipped"] * (trial.skipped != reference.skipped)
    lost, repeated = lost_and_repeated(trial.entries, trial.course.per_epoch, BATCH, STEPS)
    return found + [f"{lost} samples lost, {repeated} repeated"] * bool(lost or repeated)
