import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

from mmx import limits
from mmx.plugin import manager as plugins
from mmx_doctor import torch_build

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, no plugins, no launcher, no limits, no driver."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "installed", lambda: iter(()))
    for module, name in ((limits, "GROUPS"), (limits, "OWN"), (torch_build, "DRIVER")):
        monkeypatch.setattr(module, name, tmp_path / "absent" / name)
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)
