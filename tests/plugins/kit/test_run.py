"""Running the kit: what becomes of errors, of missing packages, and of a part that changes the process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import SkipTest

import pytest

from mmx.errors import MissingPackageError, PluginError
from mmx_kit import BrokenError, Conformance, checks_of
from mmx_kit.case import Case
from mmx_kit.check import Check, NotApplicableError
from mmx_kit.subject import plugin

CODE = """
import mmx
from mmx.config import PartConfig
from mmx.parts.fusion import Fusion

@mmx.hookimpl
def mmx_register(register):
    register("fusion", "toy", config=PartConfig, part="toy_fused:Toy", summary="")

class Toy(Fusion):
    pass
"""


SKIPPED = """
from mmx_kit import checks_of

def test_it():
    (check,) = [one for one in checks_of("FILE") if one.check.name == "light import"]
    check()
"""


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Conformance]:
    path = tmp_path / "toy_fused.py"
    path.write_text(CODE)
    yield checks_of(str(path))[0]
    sys.modules.pop("toy_fused")
    plugin.cache_clear()


def running(one: Conformance, run: Callable[[Case], None]) -> Conformance:
    one.check = Check("mine", "it is mine", ("fusion",), run)
    return one


def test_any_error_breaks_the_part_and_says_where(one: Conformance) -> None:
    def run(case: Case) -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(BrokenError, match=r"^it fails: ZeroDivisionError: by zero \(.*test_run\.py:\d+\)$"):
        running(one, run)()
    assert one.find().status == "broken"


def test_a_package_that_is_missing_is_not_the_parts_fault(one: Conformance) -> None:
    def run(case: Case) -> None:
        try:
            raise MissingPackageError("needs x: pip install x")
        except MissingPackageError as error:
            raise BrokenError("it cannot be built") from error

    with pytest.raises(pytest.skip.Exception, match="needs x: pip install x"):
        running(one, run)()
    assert (one.find().status, one.find().message) == ("not applicable", "needs x: pip install x")


def test_what_a_part_changes_of_the_process_is_put_back(one: Conformance, tmp_path: Path) -> None:
    before = Path.cwd()
    running(one, lambda case: os.chdir(tmp_path))()
    assert Path.cwd() == before


def test_outside_of_pytest_a_skip_is_that_of_unittest(one: Conformance, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(case: Case) -> None:
        raise NotApplicableError("it has no tokens")

    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(SkipTest, match="it has no tokens"):
        running(one, run)()


def test_pytest_shows_the_line_of_the_test_that_was_skipped(tmp_path: Path) -> None:
    test = tmp_path / "test_toy.py"
    (tmp_path / "toy_fused.py").write_text(CODE)
    test.write_text(SKIPPED.replace("FILE", str(tmp_path / "toy_fused.py")))
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "-n", "0", str(test)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"SKIPPED [1] {test.name}:6: a single file may import torch" in done.stdout


def test_what_rests_on_a_check_that_is_broken_says_so(one: Conformance, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def first(case: Case) -> None:
        ran.append("first")
        raise BrokenError("it draws")

    checks = [Check("first", "", ("fusion",), first), Check("second", "", ("fusion",), lambda case: None, "first")]
    monkeypatch.setattr("mmx_kit.run.CHECKS", checks)
    one.check = checks[1]
    assert (one.find().status, one.find().message) == ("not applicable", "see first")
    assert ran == ["first"]


def test_other_options_than_those_of_the_example_can_be_checked(one: Conformance, tmp_path: Path) -> None:
    path = str(tmp_path / "toy_fused.py")
    (check, *_) = checks_of(path, "fusion.toy", name="toy")
    assert str(check) == "fusion.toy(name='toy'): unknown keys" and check.options == {"name": "toy"}
    with pytest.raises(PluginError, match=r"fusion\.toy: .'colour': 'red'. do not hold"):
        checks_of(path, "fusion.toy", colour="red")
    with pytest.raises(PluginError, match="options are those of one part"):
        checks_of("mmx", colour="red")


def test_an_example_that_fails_is_told_by_every_check(one: Conformance, monkeypatch: pytest.MonkeyPatch) -> None:
    def example(cls: type, name: str, folder: Path) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(one.entry.config, "example", classmethod(example))
    for _ in range(2):
        assert one.find().message.startswith("it fails: ZeroDivisionError: by zero")
