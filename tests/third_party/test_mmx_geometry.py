"""A package of somebody else is found, imported when it is named, trained with, and called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mmx
from mmx.cli.main import app
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
name = "normalised"
lr = 1e-2

[optim.schedule]
name = "stairs"
every = 1

[train]
steps = 2
ema = 0.5

[evaluators.unseen_artist]
name = "modality_gap"

[evaluators.unseen_artist.centre]
name = "median"

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
    parts = (
        *(("centre", "median"), ("evaluator", "modality_gap"), ("kind", "centre"), ("loss", "uniform")),
        *(("optimizer", "normalised"), ("schedule", "stairs"), ("weights", "geometry")),
    )
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
    assert [row["lr"] for row in rows if row["kind"] == "step"] == [1e-2, 5e-3]
    shown = CliRunner().invoke(app, ["geometry", str(run), "--json"])
    assert shown.exit_code == 0 and json.loads(shown.stdout) == {"evaluations": [found]}


@pytest.mark.usefixtures("geometry")
def test_its_command_is_one_of_mmx(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout
    assert "  geometry  Show how far images and texts lay apart at each evaluation of a..." in listed
    assert "mmx_geometry" not in sys.modules
    assert "mmx geometry runs/NAME --last" in CliRunner().invoke(app, ["geometry", "--help"]).stdout
    lost = CliRunner().invoke(app, ["geometry", str(tmp_path / "none"), "--json"])
    assert lost.exit_code == 4 and json.loads(lost.stdout)["error"]["type"] == "DataError"


@pytest.mark.usefixtures("geometry")
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ('centre.name="medan"', "no centre 'medan'; did you mean 'median'"),
        ('centre.nam="median"', "evaluators.unseen_artist.centre"),
    ],
)
def test_its_kind_is_checked_with_the_recipe(
    key: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.toml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["recipe", "check", "r.toml", "--set", f"evaluators.unseen_artist.{key}"])
    assert done.exit_code == 2 and expected in done.stderr


@pytest.mark.slow
def test_its_own_tests_pass(geometry: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    sources = install(geometry, tmp_path / "site")
    path = os.pathsep.join([str(tmp_path / "site"), str(sources)])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(geometry)]
    ended = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
