import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "toy"))  # the toy plugin, also for data workers

from mmx_toy.start import start


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps."""
    out = tmp_path_factory.mktemp("trained")
    assert start(out, "train.steps=4", "seed=3").exit_code == 0
    return out / "run"


@pytest.fixture
def source(trained: Path, tmp_path: Path) -> Path:
    """The model folder of that run, alone."""
    return Path(shutil.copytree(trained / "model", tmp_path / "source"))
