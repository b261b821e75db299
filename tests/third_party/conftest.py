"""A package that is not ours: its own tests run where it is installed, which CI does; these use it without pip."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))  # what an editable install leaves behind

from pages.installed import install

collect_ignore_glob = ["mmx-*"]


@pytest.fixture
def geometry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the package on the path as installed; return its folder."""
    package = Path(__file__).parent / "mmx-geometry"
    monkeypatch.syspath_prepend(str(install(package, tmp_path)))
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [name for name in sys.modules if name.partition(".")[0] == "mmx_geometry"]:
        monkeypatch.delitem(sys.modules, module)
    return package
