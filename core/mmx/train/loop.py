"""The training loop. With objective.py, batch.py and one plugin, this is what there is to read (docs/walk.md)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final, final

from mmx.checkpoint.read import CheckpointData
from mmx.data.budget import Budget, named
from mmx.data.loader import stream
from mmx.data.views import StepData
from mmx.errors import DataError, MmxError, TrainingError
from mmx.launch.agree import agree_on
from mmx.launch.signals import EXIT_CODES, TIME_LIMIT, Stop, Stopping, StopRequests
from mmx.learn.optim import set_rate
from mmx.parts.events import Step
from mmx.parts.report import means
from mmx.train.clock import Clock
from mmx.train.experiment import Experiment
from mmx.train.files import Taken
from mmx.train.recorder import RunRecorder
from mmx.train.step import StepLoss, take_step
from mmx.train.sync import GlobalStep, LocalStep, sync_step
from mmx.train.tally import Tally

_NAMED: Final = 16
"""Keys of a batch that an error names."""


@dataclass(frozen=True)
class Progress:
    """What a run has reached where it starts, or goes on."""

    step: int = 0
    seconds: float = 0.0
    """Of training."""
    skipped: int = 0
    """Bad samples."""
    skipped_in_epoch: int = 0
    """Those of the epoch that the step is in."""
    counted: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    """Samples by source since the last record."""

    @classmethod
    def of(cls, found: CheckpointData) -> "Progress":
        """Return what a checkpoint had reached."""
        values = found.values
        skipped, in_epoch = values["skipped"], values["skipped_in_epoch"]
        return cls(found.manifest.step, values["seconds"], skipped, in_epoch, values.get("counted", {}))


@final
class Loop:
    """Takes the steps of an experiment, from where it starts to its end or until it is asked to stop."""

    def __init__(self, experiment: Experiment, progress: Progress, recorder: RunRecorder, stops: StopRequests) -> None:
        self.experiment = experiment
        self.recorder = recorder
        self.step = progress.step
        self._start = progress
        self._stops = stops
        self._clock = Clock(progress.seconds)
        self._saved = progress.step
        self._saved_at = self._clock.seconds
        order, table = experiment.order, experiment.recipe.data
        epoch, _ = order.place(max(0, progress.step - 1))
        skipped, in_epoch = progress.skipped, progress.skipped_in_epoch
        self._budget = Budget(table.bad_samples, order.samples, recorder.say, epoch, skipped, in_epoch)
        self._tally = Tally(list(table.sources), progress.counted)

    @property
    def seconds(self) -> float:
        """Seconds of the run so far."""
        return self._clock.seconds

    def run(self) -> Stop | None:
        """Train. Returns None when all steps were taken.

        Raises:
            TrainingError: the loss or the gradient is not finite; the update was not made.
            DataError: too many samples are bad.
        """
        experiment = self.experiment
        experiment.objective.train()
        pin, group = experiment.engine.device.type == "cuda", experiment.engine.group
        table = experiment.recipe.data
        data = stream(
            experiment.reader,
            experiment.order,
            self._start.step,
            experiment.steps,
            table.workers,
            pin,
            rank=group.rank,
            ranks=group.size,
            timeout=table.worker_timeout,
        )
        stop = self._why_stop() if self._alone else None
        with closing(data):
            while self.step < experiment.steps and stop is None:
                met = self._met_and_taken(data)
                with self._clock.aside():
                    # Others are asked before the next step: they may not have been told to stop yet.
                    stop = self._look_and_save(met.stop or (self._why_stop() if self._alone else None), met.due)
        return stop

    @property
    def _alone(self) -> bool:
        return self.experiment.engine.processes == 1

    def _met_and_taken(self, data: Iterator[StepData]) -> GlobalStep:
        """Take a step, if there is one to take; where the data cannot be read any more, what was reached is saved."""
        try:
            met = sync_step(self.experiment.engine, self._next(data))
            if met.loaded is not None:
                self._take(met)
        except DataError:  # every process has it
            if self.step > self._saved:
                self._save(None)
            raise
        return met

    def _next(self, data: Iterator[StepData]) -> LocalStep:
        """Wait for the samples of the next step, or for a request to stop."""
        row, loaded, error = self.experiment.engine.group.rank, None, None
        try:
            with self._clock.waiting(), self._stops.at_once():
                loaded = next(data)
        except Stopping:
            pass
        except MmxError as found:
            error = found
        asked = loaded is None or not self._alone
        return LocalStep(row, loaded, self._why_stop() if asked else None, self._due(self.step + 1), error)

    def _take(self, met: GlobalStep) -> None:
        """Take one step: gradients, update, clamp, teachers, queues, ledger."""
        experiment, step, loaded = self.experiment, self.step, met.loaded
        assert loaded is not None
        epoch, first = experiment.order.place(step)
        self._budget.spend(met.bad, epoch, first + experiment.order.rows(step))
        if len(loaded.batch.keys) < experiment.recipe.train.micro_batches:
            self._budget.undo()
            raise DataError(
                f"step {step + 1} has {len(met.bad)} bad samples and too few good ones to train on. "
                f"Among them: {named(met.bad)}. Mend the data"
            )
        batch = replace(loaded.batch, step=step).to(experiment.engine.device)
        rate = experiment.schedule.at(step)
        set_rate(experiment.optimizer, rate)
        table = experiment.recipe.train
        loss, norm = take_step(
            experiment.engine,
            experiment.objective,
            batch,
            table.micro_batches,
            experiment.recipe.optim.clip,
            lambda loss: self._look_at(loss, met.keys),
            lambda norm: None if experiment.engine.scaled else self._refuse(norm, "gradient norm", met.keys),
        )
        self.step += 1
        self._clock.step(len(met.keys), loaded.seconds)
        self._tally.step(met.keys, met.bad)
        self.recorder.take(Taken(self.step, epoch, first, experiment.order.rows(step), met.keys, met.bad, loss.total))
        kept = self.step == 1 or self.step % table.log_every == 0 or self.step == experiment.steps
        # The first step after a start too, so that whoever watches sees at once that it trains; an interrupted run keeps
        # the rows of a whole one.
        if kept or self.step == self._start.step + 1:
            self._record(loss, rate, norm, kept)

    def _look_at(self, loss: StepLoss, keys: Sequence[str]) -> None:
        """Note what the losses reached, and refuse those that are not finite."""
        experiment = self.experiment
        self.recorder.untrained.step(experiment.engine.reached())
        if self.step == self._start.step:
            self._say_untrained()
        self._refuse(loss.total, self._worst(loss.parts), keys)

    def _say_untrained(self) -> None:
        untrained = self.recorder.untrained
        left = untrained.left(self.experiment.engine)
        if left:
            self.recorder.say(untrained.said(left))

    def _worst(self, parts: Mapping[str, float]) -> str:
        """Name the loss, and where there are several those that are not finite."""
        bad = [name for name, value in parts.items() if not math.isfinite(value)]
        return f"loss ({', '.join(f'losses.{name}' for name in bad)})" if bad else "loss"

    def _refuse(self, value: float, what: str, keys: Sequence[str]) -> None:
        if math.isfinite(value):
            return
        rest = len(keys) - _NAMED
        shown = ", ".join(keys[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
        advice = "Try a lower optim.lr, a longer optim.schedule.warmup, or optim.clip = 1.0"
        if self.step == 0:
            advice = (
                "No update was made yet, so the loss itself or the data is at fault: mmx plugins check tries a loss"
            )
        raise TrainingError(
            f"the {what} of step {self.step + 1} is {value}; stopped before the update, so the weights are still good. "
            f"{advice}. Samples of this batch: {shown}"
        )

    def _record(self, loss: StepLoss, rate: float, norm: float, kept: bool) -> None:
        experiment = self.experiment
        images, waited, left = self._clock.record(experiment.steps - self.step)
        numbers = means(experiment.engine.everyone(experiment.objective.numbers()))
        self.recorder.record(
            Step(
                step=self.step,
                epoch=self.step / experiment.order.per_epoch,
                loss=loss.total,
                parts=loss.parts,
                lr=rate,
                scale=numbers.get("scale"),
                gradient_norm=norm,
                images_per_second=images,
                seconds=self.seconds,
                waited=waited,
                left=left,
                skipped=self._budget.total,
                sources=self._tally.record() if kept else {},
                slowest=self._clock.slowest(),
                numbers=numbers,
            ),
            kept,
        )

    def _look_and_save(self, stop: Stop | None, due: bool) -> Stop | None:
        """Evaluate and save what is due after a step; return why to stop, since that may come up meanwhile."""
        ending, headline = self.step == self.experiment.steps, None
        try:
            if stop is None:
                headline = self._evaluate(ending)
        except Stopping:
            stop = self._why_stop()
        except Exception as error:
            if self._alone or isinstance(error, MmxError):  # else the others may not be here to save with
                self._save(None)  # what cannot be measured is not lost
            raise
        due = self._due(self.step) if self._alone else due
        if (ending or stop is not None or headline is not None or due) and self.step > self._saved:
            self._save(headline)
        return stop

    def _evaluate(self, ending: bool) -> float | None:
        """Evaluate what is due; one process alone leaves it when asked to stop, several finish it together."""
        engine, error, headline = self.experiment.engine, None, None
        here: AbstractContextManager[object] = self._stops.at_once() if self._alone else nullcontext()
        try:
            with here:
                headline = self.recorder.evaluate(self.step, ending)
        except MmxError as found:
            error = found
        agree_on(engine, error)
        return engine.everyone(headline)[0]

    def _save(self, headline: float | None) -> None:
        budget = self._budget
        values = {"seconds": self.seconds, "skipped": budget.total, "skipped_in_epoch": budget.in_epoch}
        left = self.recorder.untrained.left(self.experiment.engine)
        self.recorder.save(self.step, {**values, "counted": self._tally.state(), "untrained": left}, headline)
        self._saved, self._saved_at = self.step, self.seconds

    def _due(self, step: int) -> bool:
        """Say whether a checkpoint is due after a step."""
        table = self.experiment.recipe.checkpoint
        by_steps = table.every_steps is not None and step - self._saved >= table.every_steps
        return by_steps or self.seconds - self._saved_at >= 60 * table.every_minutes

    def _why_stop(self) -> Stop | None:
        name = self._stops.received
        if name is not None:
            return Stop(f"received {name}", EXIT_CODES[name])
        minutes = self.experiment.recipe.train.max_minutes
        if (
            minutes is not None
            and self.step < self.experiment.steps
            and self.seconds - self._start.seconds >= 60 * minutes
        ):
            return Stop(f"reached train.max_minutes = {minutes}", TIME_LIMIT)
        return None
