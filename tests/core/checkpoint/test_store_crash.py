"""A fault at every call of a save that changes the disk: a good checkpoint is always left, and it loads."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import mmx.errors
from mmx.checkpoint import plain
from mmx.checkpoint.store import Store
from mmx.checkpoint.tensors import content_of
from mmx.errors import CheckpointError

DRIVER = Path(__file__).with_name("crash_driver.py")
FROZEN = "frozen.safetensors"
MODES = ("kill before", "kill after", "torn write", "no space", "no space from then on", "error", "short write")


def weights(step: int) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "model": {"weight": torch.full((64,), float(step))},
        "rng": {"cpu": torch.full((5000,), step, dtype=torch.uint8)},
    }


def frozen(step: int) -> dict[str, dict[str, torch.Tensor]]:
    """What is never trained: the same up to step 3, then another."""
    return {"model": {"tower": torch.full((3000,), float(step > 3))}}


@dataclass(frozen=True)
class Campaign:
    """What the driver found, and the folders it left."""

    out: Path
    report: dict[str, Any]

    def outcomes(self, saver: str, mode: str) -> list[str]:
        return self.report[saver][mode]

    def runs(self, saver: str, mode: str) -> list[Path]:
        return [self.out / saver / mode / str(at) for at in range(1, len(self.outcomes(saver, mode)) + 1)]


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    """Three checkpoints, the first the best; then step 4, better than all, under every fault."""
    # In memory where there is such a file system: thousands of fsyncs are slow on a disk, and prove no more there.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield run_campaign(Path(folder))


def run_campaign(folder: Path) -> Campaign:
    base, payload, out = folder / "base", folder / "payload", folder / "out"
    base.mkdir()
    (folder / "empty").mkdir()
    store = Store(base, keep_last=2, keep_best=True)
    for step, score in ((1, 0.8), (2, 0.1), (3, 0.2)):
        store.save(step, weights(step), {"step": step}, score, frozen(step) if step == 1 else None)
    payload.mkdir()
    for group, tensors in weights(4).items():
        (payload / f"{group}.safetensors").write_bytes(b"".join(content_of(group, tensors).pieces()))
    (payload / FROZEN).write_bytes(b"".join(content_of("model", frozen(4)["model"]).pieces()))
    (payload / "state.json").write_bytes(plain.dump({"step": 4}))
    core = str(Path(mmx.errors.__file__).parents[1])
    command = [sys.executable, "-W", "error", str(DRIVER), str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": core}, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return Campaign(out, json.loads(done.stdout))


def step_left(run: Path) -> int:
    """Load the newest good checkpoint with torch, compare every tensor, and return its step; 0 if none is left."""
    try:
        loaded = Store(run).latest(lambda message: None)
    except CheckpointError:
        return 0
    assert loaded is not None
    step = loaded.manifest.step
    for group, changing in weights(step).items():
        tensors = {**changing, **frozen(step).get(group, {})}
        assert loaded.tensors[group].keys() == tensors.keys()
        assert all(torch.equal(loaded.tensors[group][name], tensor) for name, tensor in tensors.items())
    assert loaded.values == {"step": step}
    return step


def test_every_call_was_hit(campaign: Campaign) -> None:
    calls = len(campaign.report["trace"])
    assert calls > 30
    for mode in ("kill before", "kill after", "torn write"):
        assert campaign.outcomes("store", mode) == ["killed"] * calls
    assert campaign.outcomes("store", "short write") == ["saved"] * calls
    for mode in ("no space", "no space from then on", "error"):
        assert len(campaign.outcomes("store", mode)) >= calls, (
            "a failed save removes what it wrote: more calls, not fewer"
        )


@pytest.mark.parametrize("mode", MODES)
def test_a_good_checkpoint_is_left(campaign: Campaign, mode: str) -> None:
    left = [step_left(run) for run in campaign.runs("store", mode)]
    assert left and set(left) <= {3, 4}
    assert (4 in left and 3 in left) or mode == "short write", "the faults must cover both sides of the rename"


@pytest.mark.parametrize("mode", ["no space", "no space from then on", "error"])
def test_a_failed_save_is_reported_and_never_passes_for_a_good_one(campaign: Campaign, mode: str) -> None:
    outcomes = campaign.outcomes("store", mode)
    assert set(outcomes) <= {"CheckpointError", "saved"}
    for run, outcome in zip(campaign.runs("store", mode), outcomes, strict=True):
        assert outcome == "CheckpointError" or step_left(run) == 4
    # Only what an old checkpoint's removal leaves behind may fail without failing the save.
    harmless = [call for call, outcome in zip(campaign.report["trace"], outcomes, strict=False) if outcome == "saved"]
    assert all(name in ("unlink", "rmdir") and ".tmp-" in path for name, path in harmless)


@pytest.mark.parametrize("mode", MODES)
def test_two_good_ones_are_left(campaign: Campaign, mode: str) -> None:
    for run in campaign.runs("store", mode):
        assert good_steps(run) >= {1, 3} or good_steps(run) >= {3, 4}


@pytest.mark.parametrize("mode", MODES)
def test_the_next_save_works_and_clears_up(campaign: Campaign, mode: str) -> None:
    for run in campaign.runs("store", mode):
        Store(run, keep_last=2, keep_best=True).save(5, weights(5), {"step": 5}, 0.3, frozen(5))
        assert step_left(run) == 5
        left = {path.name for path in run.glob("frozen/*")}
        assert len(left) == 1 or good_steps(run) == {1, 3, 5}, left
        assert not list(run.glob("frozen/.tmp-*"))
        assert not list(run.glob("checkpoints/.tmp-*"))
        assert (run / "last").read_text() == "step-00000005\n"


@pytest.mark.parametrize("mode", MODES[:3])
def test_the_very_first_save_leaves_a_good_one_or_none(campaign: Campaign, mode: str) -> None:
    found = [Store(run).latest(pytest.fail) for run in campaign.runs("first", mode)]
    assert {None if loaded is None else loaded.manifest.step for loaded in found} == {None, 4}


def test_a_careless_saver_loses_everything(campaign: Campaign) -> None:
    for mode in MODES[:3]:
        left = [step_left(run) for run in campaign.runs("in place", mode)]
        assert left.count(0) > len(left) // 3


def test_files_are_on_the_disk_before_their_names_are(campaign: Campaign) -> None:
    trace = [(name, Path(path)) for name, path in campaign.report["trace"]]
    rename = next(place for place, call in enumerate(trace) if call[0] == "rename")
    aside = trace[rename][1]
    written = [path.name for name, path in trace[:rename] if name == "open" and path.parent == aside]
    synced = [path.name for name, path in trace[:rename] if name == "fsync" and path.parent == aside]
    assert written[-1] == "MANIFEST.json" and len(written) == 4
    assert synced == written
    opened_manifest = trace.index(("open", aside / "MANIFEST.json"))
    for name in written[:-1]:
        assert trace.index(("fsync", aside / name)) < opened_manifest
    assert trace[rename - 1] == ("fsync", aside)
    assert trace[rename + 1] == ("fsync", Path("checkpoints"))
    removals = [place for place, call in enumerate(trace) if call[0] == "rename" and call[1] != aside]
    assert removals and min(removals) > rename + 1, "older ones go only after the new one is in place"


def good_steps(run: Path) -> set[int]:
    store = Store(run)
    steps: set[int] = set()
    for path in run.glob("checkpoints/step-*"):
        try:
            steps.add(store.read(path).manifest.step)
        except CheckpointError:
            continue
    return steps
