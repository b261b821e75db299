"""One run with the real package, offline."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from mmx_wandb.config import WandbConfig
from mmx_wandb.task import Limits
from mmx_wandb.tracker import WandbTracker

if TYPE_CHECKING:
    from tests.plugins.wandb.conftest import Folder


def test_a_run_is_written_offline(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = find_spec("wandb")
    if found is None or found.origin is None:
        pytest.skip("wandb is not installed")
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    tracker = WandbTracker(WandbConfig(name="wandb", mode="offline"), Limits(60, 60, 120, 120))
    tracker.mmx_run_start(folder.run)
    folder.step(10)
    tracker.mmx_step_end()
    folder.evaluation(10)
    folder.end()
    tracker.mmx_run_end()
    tracker.close()
    (stored,) = folder.path.glob("wandb/offline-run-*/*.wandb")
    assert stored.stem == f"run-{(folder.path / 'wandb-id').read_text().strip()}"
    assert b"train/loss" in stored.read_bytes()
    assert f"wandb sync {stored.parent}" in capfd.readouterr().err
