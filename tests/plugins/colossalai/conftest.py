import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmx_kit.ranks import Ranks

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "core" / "learn"), str(HERE.parents[1] / "toy")]


@pytest.fixture(scope="session")
def two() -> Iterator[Ranks]:
    """Two processes for all tests."""
    ranks = Ranks(count=2, patience=280)
    yield ranks
    ranks.stop()


@pytest.fixture(scope="session")
def four() -> Iterator[Ranks]:
    """Four processes for all tests."""
    ranks = Ranks(count=4, patience=280)
    yield ranks
    ranks.stop()


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Put back the variables of launchers that a test has set."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
