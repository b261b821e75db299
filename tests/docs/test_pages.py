"""The pages for authors of plugins, done as they say."""

import gc
import sys
from pathlib import Path

import pytest

from mmx.testing import checks_of
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
@pytest.mark.timeout(1800)
def test_the_tutorial(tmp_path: Path) -> None:
    assert len(follow(blocks(DOCS / "tutorial.md"), tmp_path, slow=True)) > 10
