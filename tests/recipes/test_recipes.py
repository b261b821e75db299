"""Every recipe that comes with mmx is checked deep; those without data say how to give it, and then train."""

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmx.plugin.manager import Plugins
from mmx.recipe import Recipe
from mmx.recipe.bundled import bundled
from mmx.recipe.load import examine, read
from mmx.train.deep import deep_check

RECIPES = sorted(bundled())
PARAMETERS = {"clip_b32": "151 M", "clip_b16": "150 M", "clip_l14": "428 M", "clip_h14": "986 M"}
MMX = "from mmx.cli.main import main; main()"
SMALL = ("data.train.name=emoji", "data.batch=4", "train.steps=2", "optim.schedule.warmup=0", "data.workers=0")


def mmx(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-c", MMX, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)


def deep(name: str, *sets: str) -> list[str]:
    registries = Plugins().registries
    document = read(name, sets)
    recipe = examine(document, registries)
    assert isinstance(recipe, Recipe)
    said: list[str] = []
    assert deep_check(recipe, document, registries, said.append) == []
    return said


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_checked_deep(name: str) -> None:
    said = deep(name)
    assert said[0].startswith("model: ") and said[1].startswith("data.train: ")
    assert ("not given" in said[1]) == (name in PARAMETERS)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_published_recipes_build_at_their_size_and_read_drawings(name: str, parameters: str) -> None:
    said = deep(name, *SMALL)
    assert said == [
        f"model: {parameters} parameters, {parameters} of them trained",
        "data.train: 5,145 samples; read 8 of 8",
        "5,145 samples an epoch, 2 steps of 4",
    ]


@pytest.mark.parametrize("option", [[], ["--dry-run"]])
@pytest.mark.parametrize("name", PARAMETERS)
def test_without_data_a_run_says_the_lines_to_add(name: str, option: list[str], tmp_path: Path) -> None:
    done = mmx(tmp_path, "run", name, *option)
    assert done.returncode == 2 and "data.train: is not given" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert lines(done.stderr) == ["mmx", "run", name, *(word for text in SMALL for word in ("--set", text))]


def test_the_lines_for_shards_make_a_recipe(tmp_path: Path) -> None:
    said = mmx(tmp_path, "run", "clip_l14").stderr.partition("lines:\n\n")[2].partition("\n\nmmx data inspect PATH")[0]
    first, *others = said.split("\n\nor\n\n")
    head = first.partition("\n\n")[0]
    (tables,) = [table for table in others if '"shards"' in table]
    (tmp_path / "my.toml").write_text(f"{head}\n\n{tables}")
    assert mmx(tmp_path, "recipe", "check", "my.toml").returncode == 0
    done = mmx(tmp_path, "run", "my.toml")
    assert done.returncode == 4 and "data.train: data/00000.tar does not exist" in done.stderr
    assert lines(done.stderr)[:3] == ["mmx", "run", "my.toml"]


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize("name", ["clip_b32", "clip_b16", "clip_l14"])
def test_the_command_that_is_said_takes_two_steps(name: str, tmp_path: Path) -> None:
    words = lines(mmx(tmp_path, "run", name).stderr)
    try:
        done = mmx(tmp_path, *words[1:])
        assert done.returncode == 0, done.stderr
        (run,) = [path for path in (tmp_path / "runs" / name).iterdir() if not path.is_symlink()]
        losses = [float.fromhex(json.loads(line)["loss"]) for line in (run / "ledger.jsonl").read_text().splitlines()]
        assert len(losses) == 2 and all(math.isfinite(loss) for loss in losses)
        assert losses[0] == pytest.approx(math.log(4), abs=0.3)
        assert (run / "model" / "model.json").is_file() and list((run / "checkpoints").iterdir())
    finally:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)  # gigabytes


def lines(text: str) -> list[str]:
    """Return the last command of a message, as a shell would read it."""
    return shlex.split(text[text.rindex("    mmx run ") :].replace("\\\n", " "))
