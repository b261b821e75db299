import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # the toys, also for the spawned processes

from toys.pair import Pair


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    both = Pair()
    yield both
    both.stop()


@pytest.fixture(autouse=True)
def same_randomness() -> None:
    torch.manual_seed(0)
