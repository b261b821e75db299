"""What a part says of itself is read without importing it."""

import sys
from pathlib import Path

import pytest

from mmx.config import LossConfig
from mmx.plugin.kinds import Entry
from mmx.recipe.docstrings import about

CODE = 'raise RuntimeError("imported")\n\nclass Part:\n    """L = 1.\n\n    more\n        still\n    """\n'


def entry(part: str) -> Entry:
    return Entry("loss", "x", "", LossConfig, part, "toy")


def test_docstring_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_said.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    found = about(entry("toy_said:Part"))
    assert found.place == f"{tmp_path}/toy_said.py:3" and found.text == "L = 1.\n\nmore\n    still"
    assert "toy_said" not in sys.modules


@pytest.mark.parametrize("part", ["no_such_module:Part", "no_such.module:Part", "sys:Part", "mmx.plugin.kinds:Nothing"])
def test_what_has_no_source_is_named(part: str) -> None:
    assert (about(entry(part)).place, about(entry(part)).text) == (part, "")
