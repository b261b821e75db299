"""Shows a short run on whatever terminal there is."""

from __future__ import annotations

import sys
from pathlib import Path

from mmx.parts.evaluator import Number, Result
from mmx.parts.events import Outcome, Run, Step
from mmx_terminal.config import TerminalConfig
from mmx_terminal.tracker import TerminalTracker

tracker = TerminalTracker(TerminalConfig(name="terminal"))
run = Run("x", Path(sys.argv[1]), {}, 100, 0, 10, 10, 5000, "cpu")
tracker.mmx_run_start(run)
tracker.mmx_step_end(Step(100, 2.0, 2.0, {}, 1e-3, 14.3, 1.0, 500.0, 9.0, 0.0, 0.0, 0))
tracker.mmx_evaluation_end(7, {"unseen_父": Result("top1", {"top1": Number(0.3, 0.2, 0.4, 0.01, 9)})})
tracker.mmx_run_end(run, Outcome("finished", "", 100, 9.0, 0, ""))
tracker.close()
assert "torch" not in sys.modules
