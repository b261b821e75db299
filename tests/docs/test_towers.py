"""The towers on the page about many processes are what the page says."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pages.blocks import blocks
from pages.walk import follow

PAGE = blocks(Path(__file__).parents[2] / "docs" / "parallel-towers.md")
ENGINE = pytest.mark.skipif(importlib.util.find_spec("colossalai") is None, reason="ColossalAI is not installed")


@pytest.mark.slow
@ENGINE
def test_the_page_on_towers(tmp_path: Path) -> None:
    assert len(follow(PAGE, tmp_path, slow=True)) == 4


@pytest.mark.slow
@ENGINE
@pytest.mark.parametrize("tower", ["gated", "averaged"])
def test_a_tower_equals_one_process_and_no_layout_is_refused(tower: str, tmp_path: Path) -> None:
    follow([block for block in PAGE if block.title], tmp_path)
    command = ["verify", f"{tower}.toml", "--plugin", f"{tower}.py", "--layouts", "tp2,sp2,pp2,tp2xpp2", "--json"]
    done = subprocess.run([sys.executable, "-m", "mmx", *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {row["result"] for row in json.loads(done.stdout)["layouts"]} == {"equal"}


def test_the_files_pass_the_checks_of_style(tmp_path: Path) -> None:
    follow([block for block in PAGE if block.title], tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 120\n", encoding="utf-8")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
