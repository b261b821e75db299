"""The W&B tracker: starts a process that follows the run folder, and looks now and then whether it still lives."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import final

from mmx.errors import MissingPackageError, MmxError
from mmx.parts.events import Run
from mmx.parts.tracker import Tracker
from mmx.plugin.hookspecs import hookimpl
from mmx_wandb.config import WandbConfig
from mmx_wandb.process import Follower
from mmx_wandb.task import Limits, Task, task_of


@final
class WandbTracker(Tracker):
    """Sends a run to W&B from a process of its own.

    The process reads ``metrics.jsonl`` and ``evaluations/``, so the run never waits for W&B and nothing is held in
    memory. Where W&B fails online, the same rows are written offline; where that fails too, it is said once.
    """

    def __init__(self, config: WandbConfig, limits: Limits | None = None) -> None:
        found = find_spec("wandb")
        if found is None or found.origin is None:  # a folder named wandb has no origin
            raise MissingPackageError(
                f"the tracker '{config.name}' needs the package wandb: pip install 'mmx[wandb]', "
                "or leave it out with --set trackers.wandb.enabled=false"
            )
        self.config = config
        self.limits = limits or Limits()
        self.task: Task | None = None
        self.follower: Follower | None = None

    @hookimpl
    def mmx_run_start(self, run: Run) -> None:
        """Start the process."""
        self.task = task_of(self.config, run, self.limits)
        self.follower = Follower(self.task)

    @hookimpl
    def mmx_step_end(self) -> None:
        """Look whether the process still lives; go on offline if it gave up."""
        if self.follower is not None and self.follower.ended():
            self._again(self.follower)

    @hookimpl
    def mmx_run_end(self) -> None:
        """Wait for the last rows, for a limited time."""
        if self.follower is None:
            return
        first = self.follower
        first.wait(self.limits.finish)
        if not first.done and self._again(first):
            self.follower.wait(self.limits.offline)
        self._report()

    def close(self) -> None:
        """End the process if it is still there."""
        if self.follower is not None:
            self.follower.kill()

    def _again(self, failed: Follower) -> bool:
        """Follow the run again, offline. False if it was offline already.

        Raises:
            MmxError: both failed; it is said once, as of any observer that fails, and the run goes on.
        """
        if failed.done or self.task is None:
            return False
        failed.kill()
        if failed.task.mode == "offline":
            self.follower, self.task = None, None
            raise MmxError(
                f"W&B gets nothing more of this run ({failed.reason}); metrics.jsonl in the run folder has all"
            )
        self.follower = Follower(failed.task.offline())
        print(f"W&B cannot be used online ({failed.reason}); going on offline", file=sys.stderr)
        return True

    def _report(self) -> None:
        if self.follower is None:
            return
        if not self.follower.done:
            self.follower.kill()
            raise MmxError(
                f"W&B did not take the end of this run ({self.follower.reason}); metrics.jsonl has all of it"
            )
        print(self.follower.where, file=sys.stderr)
