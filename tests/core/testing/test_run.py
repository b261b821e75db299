"""Running the kit: what becomes of errors, of missing packages, and of a part that changes the process."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import SkipTest

import pytest

from mmx.errors import MissingPackageError
from mmx.testing import BrokenError, Conformance, checks_of
from mmx.testing.case import Case
from mmx.testing.check import Check
from mmx.testing.run import plugin

CODE = """
import mmx
from mmx.config import PartConfig
from mmx.parts.fusion import Fusion

@mmx.hookimpl
def mmx_register(register):
    register("fusion", "toy", config=PartConfig, part="toy_fused:Toy", summary="")
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

    with pytest.raises(SkipTest, match="needs x: pip install x"):
        running(one, run)()
    assert (one.find().status, one.find().message) == ("not applicable", "needs x: pip install x")


def test_what_a_part_changes_of_the_process_is_put_back(one: Conformance, tmp_path: Path) -> None:
    before = Path.cwd()
    running(one, lambda case: os.chdir(tmp_path))()
    assert Path.cwd() == before
