"""The pages for authors of plugins, done as they say."""

import gc
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from mmx.parts.events import Step
from mmx_kit import checks_of
from mmx_scaffold.kinds import KINDS
from mmx_scaffold.names import Names
from mmx_scaffold.write import write_package
from pages.blocks import Block, blocks
from pages.walk import follow

DOCS = Path(__file__).parents[2] / "docs" / "plugins"
EXAMPLES = [block for block in blocks(DOCS / "parts.md") if "mmx_register" in block.text]


def test_a_part_of_each_kind_and_all_of_them_in_one_run(tmp_path: Path) -> None:
    assert len(follow(blocks(DOCS / "parts.md"), tmp_path)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.title)
def test_each_example_passes_the_kit(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / block.title
    path.write_text(block.text, encoding="utf-8")
    monkeypatch.setitem(sys.modules, path.stem, sys)  # so that what is loaded under this name is forgotten
    monkeypatch.delitem(sys.modules, path.stem)
    found = [check.find() for check in checks_of(str(path))]
    assert [f"{one.check}: {one.message}" for one in found if one.status == "broken"] == []
    assert len([one for one in found if one.status == "holds"]) >= 5
    gc.collect()  # ends the processes of this kit, before the next one starts its own


@pytest.mark.slow
def test_the_page_on_the_kit(tmp_path: Path) -> None:
    assert (
        len(follow([block for block in blocks(DOCS / "kit.md") if block.title or block.mark], tmp_path, slow=True)) == 1
    )


@pytest.mark.slow
def test_reading_a_run(tmp_path: Path) -> None:
    assert len(follow(blocks(DOCS.parent / "reading.md"), tmp_path)) == 3


def test_the_keys_of_a_step_are_those_that_reading_a_run_lists() -> None:
    text = (DOCS.parent / "reading.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `step` |")]
    assert re.findall(r"`(\w+)`", row.rpartition("|")[0].rpartition("): ")[2]) == [field.name for field in fields(Step)]


@pytest.mark.parametrize("page", ["tutorial.md", "parts.md", "kit.md"])
def test_code_passes_the_checks_that_a_new_package_comes_with(page: str, tmp_path: Path) -> None:
    """Files as the page leaves them, with every change that it makes; types are those of the package alone."""
    folder = write_package(KINDS["loss"], Names("pairwise"), tmp_path)
    follow([block for block in blocks(DOCS / page) if block.title], folder)
    types = [["basedpyright", "--pythonpath", sys.executable]] if page == "tutorial.md" else []
    for words in (["ruff", "check"], ["ruff", "format", "--check"], *types):
        done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tutorial(tmp_path: Path) -> None:
    assert len(follow(blocks(DOCS / "tutorial.md"), tmp_path, slow=True)) > 10
