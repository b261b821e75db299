"""Plugins on the command line: a file with ``--plugin``, and installed ones that nobody names."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distributions import MODULE, install

Mmx = Callable[..., Any]
FILE = MODULE.replace("{part}", "toyish").replace("{module}", "toy_file")


@pytest.fixture
def file(mmx: Mmx) -> Iterator[str]:
    Path("toy_file.py").write_text(FILE)
    yield "toy_file.py"
    sys.modules.pop("toy_file", None)


def test_a_recipe_may_name_its_parts(mmx: Mmx, recipe: Path, file: str) -> None:
    given = ("r.toml", "--set", 'losses.main={name="toyish", sharp=2.0}')
    assert mmx("recipe", "check", *given).code == 2
    assert mmx("recipe", "check", *given, "--plugin", file).code == 0
    assert "sharp = 2.0" in mmx("recipe", "show", *given, "--plugin", file).out


def test_it_is_listed_and_shown(mmx: Mmx, file: str) -> None:
    listed = mmx("plugins", "--plugin", file)
    assert "given with --plugin\n  toy_file.py      loss: toyish\n" in listed.out
    shown = mmx("plugins", "show", "loss.toyish", "--plugin", file)
    assert "How sharp it is." in shown.out and "from toy_file.py" in shown.out
    (entry,) = [
        e
        for e in json.loads(mmx("plugins", "--plugin", file, "--json").out)["plugins"]
        if e["parts"][0]["name"] == "toyish"
    ]
    assert entry["status"] == "loaded" and entry["hooks"] == ["mmx_register"]


def test_one_that_is_broken_is_no_traceback(mmx: Mmx, recipe: Path, file: str) -> None:
    Path(file).write_text("import no_such_module\n")
    done = mmx("recipe", "check", "r.toml", "--plugin", file)
    assert done.code == 3
    assert done.err.startswith("error: --plugin toy_file.py: ModuleNotFoundError: No module named 'no_such_module' (")


def test_hook_calls_are_shown(mmx: Mmx) -> None:
    done = mmx("plugins", "--trace")
    assert "trace: mmx_register(register)  throw-away 1.0 (throwaway)" in done.err


MARKS = "from pathlib import Path\nPath(__file__).with_name('imported').touch()\n" + MODULE


def test_a_run_imports_no_plugin_that_its_recipe_does_not_name(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "toy-unnamed", code=MARKS)
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}

    def mmx(*arguments: str) -> str:
        command = [sys.executable, "-m", "mmx", *arguments]
        done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    mmx("run", "quickstart", "--dry-run", "--quiet")
    mmx("plugins", "show", "loss", "clip")
    assert not (site / "imported").exists()
    assert "toy-unnamed 1.0\n  toy_unnamed      loss: toy\n" in mmx("plugins")
    assert (site / "imported").exists()
