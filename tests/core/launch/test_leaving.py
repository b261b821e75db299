"""The end of one process of many."""

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, contextlib, sys
from mmx.launch.leaving import leaving

class Last:
    def __del__(self):
        print("taken down")

last = Last()
with {how}:
    atexit.register(print, "registered later")
    print("done")
    {ending}
"""


def ended(how: str, ending: str) -> tuple[int, list[str]]:
    script = SCRIPT.format(how=how, ending=ending)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("ending", "code"), [("pass", 0), ("sys.exit(7)", 7), ("sys.exit()", 0), ("sys.exit('no')", 1), ("1 / 0", 1)]
)
def test_it_keeps_its_exit_code_and_is_not_taken_down(ending: str, code: int) -> None:
    assert ended("leaving()", ending) == (code, ["done", "registered later"])
    assert ended("contextlib.nullcontext()", ending) == (code, ["done", "registered later", "taken down"])
