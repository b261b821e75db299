import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # the toys, also for the spawned processes


@pytest.fixture(autouse=True)
def same_randomness() -> None:
    torch.manual_seed(0)
