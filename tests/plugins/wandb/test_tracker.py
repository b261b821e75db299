"""W&B gets what the run folder has; whatever W&B does, the run goes on and its rows are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mmx.errors import MmxError, RecipeError
from mmx_wandb.config import WandbConfig
from mmx_wandb.task import Limits
from mmx_wandb.tracker import WandbTracker

if TYPE_CHECKING:
    from tests.plugins.wandb.conftest import Fake, Folder

FAST = Limits(init=1.0, call=1.0, finish=6.0, offline=20.0)
KEY = "0123456789abcdef0123456789abcdef01234567"


def train(folder: Folder, status: str = "finished", limits: Limits = FAST, **options: object) -> None:
    tracker = WandbTracker(WandbConfig.model_validate_json(json.dumps({"name": "wandb", **options})), limits)
    try:
        tracker.mmx_run_start(folder.run)
        for step in (10, 20):
            folder.step(step)
            tracker.mmx_step_end()
        folder.evaluation(20)
        folder.end(status)
        tracker.mmx_run_end()
    finally:
        tracker.close()


def test_steps_evaluations_pictures_and_summary_arrive(folder: Folder, fake: Fake) -> None:
    train(folder, limits=Limits(), project="birds", tags=["a"])
    (init,) = fake.calls("init")
    assert (init["name"], init["group"], init["project"], init["tags"]) == ("run-1", "quickstart", "birds", ["a"])
    first, second, evaluation = fake.values()
    assert (first["step"], second["step"]) == (10, 20)
    assert first["train/loss"] == first["loss/contrastive"] == 1.5
    assert (first["data/own/trained"], first["data/own/skipped"], first["train/slowest"]) == (63, 1, "decode")
    assert (evaluation["step"], evaluation["zero_shot/top1"]) == (20, 0.25)
    assert evaluation["zero_shot/sample"] == ["cat (rank 2)\n0.500 dog"]
    assert evaluation["zero_shot/per_class"] == [["class", "top1"], ["cat", 0.5]]
    (finish,) = fake.calls("finish")
    assert finish["exit_code"] == 0
    assert finish["summary"] == {
        "zero_shot/top1/low": 0.2,
        "zero_shot/top1/high": 0.3,
        "zero_shot/top1/chance": 0.01,
        "status": "finished",
    }
    assert {"call", "pid", "name", "step_metric"} == set(fake.calls("define_metric")[1])


def test_a_resumed_run_keeps_its_id_and_sends_only_what_is_new(folder: Folder, fake: Fake) -> None:
    train(folder, limits=Limits())
    folder.append(kind="run", step=20, start=20)
    train(folder, limits=Limits())
    first, second = fake.calls("init")
    assert first["id"] == second["id"] == (folder.path / "wandb-id").read_text().strip()
    assert len(fake.values()) == 3


def test_a_failed_run_is_marked(folder: Folder, fake: Fake) -> None:
    train(folder, status="failed", limits=Limits())
    assert fake.calls("finish")[0]["exit_code"] == 1


def test_pictures_can_be_left_out(folder: Folder, fake: Fake) -> None:
    train(folder, limits=Limits(), log_pictures=False)
    assert "zero_shot/sample" not in fake.values()[-1]


@pytest.mark.parametrize(
    ("variables", "hosts", "mode"),
    [
        ({}, "", "offline"),
        ({"WANDB_API_KEY": KEY}, "", "online"),
        ({}, "machine api.wandb.ai login user password x", "online"),
        ({"WANDB_API_KEY": KEY, "WANDB_MODE": "offline"}, "", "offline"),
    ],
)
def test_auto_is_online_only_with_a_key(
    folder: Folder,
    fake: Fake,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    hosts: str,
    mode: str,
) -> None:
    (tmp_path / "netrc").write_text(hosts)
    (tmp_path / "netrc").chmod(0o600)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    train(folder, limits=Limits())
    assert fake.calls("init")[0]["mode"] == mode


@pytest.mark.parametrize(
    "wrong", ["online_init_raises", "online_init_hangs", "online_init_exits", "online_log_hangs", "online_finish_hangs"]
)
def test_what_fails_online_is_kept_offline(
    folder: Folder, fake: Fake, wrong: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.set(wrong)
    train(folder, mode="online")
    assert [call["mode"] for call in fake.calls("init")] == ["online", "offline"]
    assert len(fake.values()) == 3
    said = capfd.readouterr().err
    assert said.count("W&B cannot be used online") == 1
    assert "upload it with: wandb sync" in said


@pytest.mark.parametrize("wrong", ["init_raises", "init_exits", "finish_hangs"])
def test_what_fails_offline_too_is_one_error(folder: Folder, fake: Fake, wrong: str) -> None:
    fake.set(wrong)
    with pytest.raises(MmxError, match=r"metrics\.jsonl"):
        train(folder, mode="online", limits=Limits(1.0, 1.0, 4.0, 6.0))
    assert len(fake.calls("init")) == 2
    assert len((folder.path / "metrics.jsonl").read_text().splitlines()) == 5


@pytest.mark.parametrize("wrong", ["log_raises", "disk_full"])
def test_calls_that_keep_failing_end_it_and_few_do_not(folder: Folder, fake: Fake, wrong: str) -> None:
    fake.set(wrong)
    train(folder, limits=Limits())
    assert len(fake.calls("finish")) == 1
    for step in range(21, 30):
        folder.step(step)
    tracker = WandbTracker(WandbConfig(name="wandb", mode="offline"), Limits())
    tracker.mmx_run_start(folder.run)
    for step in range(30, 40):
        folder.step(step)
    folder.end()
    with pytest.raises(MmxError, match=r"ConnectionResetError|No space left"):
        tracker.mmx_run_end()
    tracker.close()


def test_the_run_is_not_told_twice(folder: Folder, fake: Fake) -> None:
    fake.set("init_exits")
    tracker = WandbTracker(WandbConfig(name="wandb", mode="offline"), FAST)
    tracker.mmx_run_start(folder.run)
    follower = tracker.follower
    assert follower is not None
    deadline = time.monotonic() + 30
    while not follower.ended() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(MmxError, match="ended with code 9"):
        tracker.mmx_step_end()
    tracker.mmx_step_end()
    tracker.mmx_run_end()
    tracker.close()


def test_no_secret_is_sent_or_said(
    folder: Folder, fake: Fake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    fake.set("online_init_raises")
    train(folder, mode="online")
    said = capfd.readouterr()
    assert "no server; key ***" in said.err
    assert "hunter2" not in fake.log.read_text()
    assert KEY not in said.err + said.out + fake.log.read_text()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()  # what W&B leaves behind is no package
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(RecipeError, match=r"pip install 'mmx\[wandb\]'"):
        WandbTracker(WandbConfig(name="wandb"))


def test_the_process_ends_with_the_run_that_was_killed(folder: Folder, fake: Fake) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from mmx.parts.events import Run;"
        "from mmx_wandb.config import WandbConfig; from mmx_wandb.tracker import WandbTracker;"
        "path = Path(sys.argv[1]); tracker = WandbTracker(WandbConfig(name='wandb'));"
        "tracker.mmx_run_start(Run(path.name, path, {}, 20, 0, 1, 1, 1, 'cpu'));"
        "print(tracker.follower._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder.path)],
        env={**os.environ, **path},
        capture_output=True,
        text=True,
        check=False,
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while fake.calls("finish") == [] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert fake.calls("finish")[0]["summary"]["status"] == "killed"
    assert fake.calls("finish")[0]["pid"] == pid
