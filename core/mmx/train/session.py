"""One training run from start to end, in each of its processes: weights put in place, steps taken, its end written down."""

from collections.abc import Callable
from typing import final

import torch

from mmx.checkpoint.read import CheckpointData
from mmx.checkpoint.state import restore, restore_weights
from mmx.data.permute import seed_of
from mmx.launch.signals import Stop, StopRequests
from mmx.parts.events import Outcome
from mmx.plugin.manager import Plugins
from mmx.runs.layout import RunFolder
from mmx.train.experiment import Experiment
from mmx.train.loop import Loop, Progress
from mmx.train.recorder import RunRecorder


@final
class Session:
    """Runs an experiment; the main process does so in a run folder."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder | None,
        plugins: Plugins,
        say: Callable[[str], None],
        argv: tuple[str, ...],
    ) -> None:
        self.experiment = experiment
        self.recorder = RunRecorder(experiment, folder, plugins, say, argv)
        self._folder = folder

    @property
    def folder(self) -> RunFolder:
        """The run's folder; there is one in the main process only."""
        assert self._folder is not None
        return self._folder

    def run(self, resumed: CheckpointData | None) -> Outcome:
        """Train to the end, or until a signal or a limit; what was reached is saved either way."""
        progress, recorder = self._prepare(resumed), self.recorder
        recorder.start(progress.step)
        with StopRequests() as stops:
            loop = Loop(self.experiment, progress, recorder, stops)
            try:
                stop = loop.run()
                outcome = recorder.finish(loop.step, loop.seconds) if stop is None else self._stopped(loop, stop)
            except BaseException as error:
                recorder.fail(error, loop.step, loop.seconds)
                raise
            finally:
                recorder.close()
        recorder.end(outcome)
        return outcome

    def _prepare(self, resumed: CheckpointData | None) -> Progress:
        experiment = self.experiment
        engine = experiment.engine
        if resumed is not None:
            restore_weights(experiment.objective, resumed.tensors)
        engine.prepare(experiment.objective, experiment.optimizer)
        if engine.group.rank > 0:  # each rank draws dropout of its own
            torch.manual_seed(seed_of("rank", experiment.recipe.seed, engine.group.rank))
        if resumed is None:
            return Progress()
        restore(engine, resumed.tensors, resumed.values)
        self.recorder.untrained.go_on(resumed.values.get("untrained"))
        return Progress.of(resumed)

    def _stopped(self, loop: Loop, stop: Stop) -> Outcome:
        return Outcome("stopped", stop.reason, loop.step, loop.seconds, stop.exit_code, self.recorder.resume)
