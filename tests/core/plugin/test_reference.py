"""What is said of a ``module:Class`` that is not there, without importing it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmx.plugin.reference import absent

CODE = """
raise RuntimeError("imported")
import os as system
from math import pi
class Loss: ...
try:
    import nothing
    FAST = True
except ImportError:
    SLOW = 1
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "ref_toy"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "loss.py").write_text(CODE)
    (folder / "lazy.py").write_text("def __getattr__(name): ...\n")
    (folder / "star.py").write_text("from ref_toy.loss import *\n")
    (folder / "wrong.py").write_text("def f(:\n")
    yield folder
    for name in [name for name in sys.modules if name.startswith("ref_toy")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["Loss", "system", "pi", "nothing", "FAST", "SLOW"])
def test_what_a_module_binds_is_there(package: Path, name: str) -> None:
    assert absent(f"ref_toy.loss:{name}") == ""
    assert "ref_toy.loss" not in sys.modules


@pytest.mark.parametrize("reference", ["ref_toy.lazy:Loss", "ref_toy.star:Loss", "ref_toy.wrong:Loss"])
def test_what_only_the_import_can_tell(package: Path, reference: str) -> None:
    assert absent(reference) == ""


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("ref_toy.loss:Lost", "{folder}/loss.py has no 'Lost'; did you mean 'Loss'?"),
        ("ref_toy.loss:Zebra", "{folder}/loss.py has no 'Zebra'"),
        ("ref_toy.losss:Loss", "there is no module 'ref_toy.losss'; did you mean 'loss'?"),
        ("ref_toys.loss:Loss", "there is no module 'ref_toys.loss'"),
        ("no_such_module:Loss", "there is no module 'no_such_module'"),
        ("math:pie", "math has no 'pie'; did you mean 'pi'?"),
    ],
)
def test_what_is_not_there(package: Path, reference: str, expected: str) -> None:
    assert absent(reference) == expected.replace("{folder}", str(package))
