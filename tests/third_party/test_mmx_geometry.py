"""A package of somebody else is found, imported when it is named, trained with, and called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mmx
from mmx.plugin.manager import Plugins
from pages.installed import install

RECIPE = """\
extends = "quickstart"

[losses.spread]
name = "uniform"
weight = 0.5

[data]
batch = 16
workers = 0

[optim]
warmup = 0

[train]
steps = 2
ema = 0.5

[evaluators.unseen_artist]
name = "modality_gap"

[evaluators.unseen_artist.data]
name = "emoji"
styles = ["fluent"]
"""


def entry_of(plugins: Plugins) -> tuple[str, tuple[tuple[str, str], ...]]:
    (entry,) = [entry for entry in plugins.entries if entry.module == "mmx_geometry"]
    return entry.status, entry.parts


@pytest.mark.usefixtures("geometry")
def test_it_is_listed_by_its_metadata_and_imported_when_named() -> None:
    plugins = Plugins()
    parts = (("evaluator", "modality_gap"), ("loss", "uniform"))
    assert entry_of(plugins) == ("listed", parts) and "mmx_geometry" not in sys.modules
    assert plugins.registries["loss"]["clip"].name == "clip" and "mmx_geometry" not in sys.modules
    assert plugins.registries["loss"]["uniform"].config.__module__ == "mmx_geometry.configs"
    assert entry_of(plugins) == ("loaded", parts)


@pytest.mark.usefixtures("geometry")
def test_a_run_trains_with_its_loss_and_calls_its_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(RECIPE)
    run = Path(str(mmx.run("r.toml", name="r", quiet=True).summary["run"]))
    (line,) = (run / "geometry.jsonl").read_text().splitlines()
    found = json.loads(line)
    assert found["step"] == 2 and 0 < found["unseen_artist"] < 2
    rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("spread" in json.dumps(row) for row in rows)


@pytest.mark.slow
def test_its_own_tests_pass(geometry: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    sources = install(geometry, tmp_path / "site")
    path = os.pathsep.join([str(tmp_path / "site"), str(sources)])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(geometry)]
    ended = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
