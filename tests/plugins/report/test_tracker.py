"""When the report is written, and that it needs no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmx.parts.events import Run
from mmx_report.config import ReportConfig
from mmx_report.tracker import ReportTracker


@pytest.mark.parametrize("live", [True, False])
def test_it_is_written_at_each_evaluation_and_at_the_end(folder: Path, live: bool) -> None:
    run = Run("first", folder, {}, 40, 0, 1, 1, 1, "cpu")
    tracker = ReportTracker(ReportConfig(name="report", live=live))
    tracker.mmx_evaluation_end(run)
    assert (folder / "report.html").exists() is live
    tracker.mmx_run_end(run)
    assert (folder / "report.html").exists()


def test_trackers_need_no_torch() -> None:
    code = (
        "import sys, mmx_report.tracker, mmx_terminal.tracker, mmx_wandb.tracker;"
        "print(sorted({'torch', 'numpy', 'wandb'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("plugin", ["mmx_report", "mmx_terminal", "mmx_wandb"])
def test_the_entry_modules_import_neither_their_part_nor_rich(plugin: str) -> None:
    code = f"import sys, {plugin}; print(sorted({{'rich', '{plugin}.tracker'}} & set(sys.modules)))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
