"""New packages installed with pip and no network, in an environment of their own."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from mmx_scaffold.kinds import KINDS
from mmx_scaffold.names import Names
from mmx_scaffold.write import write_package

pytestmark = pytest.mark.slow
OFFLINE = {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}


def call(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=OFFLINE, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a package of each kind, and return the folder with them and with ``env/bin/python``."""
    folder = tmp_path_factory.mktemp("packages")
    venv.create(folder / "env", with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env")}))
    # What is installed here is installed there too, mmx as an editable install among it.
    (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    made = [write_package(kind, Names(f"my_{kind.kind}"), folder) for kind in KINDS.values()]
    editable = [word for package in made for word in ("-e", str(package))]
    python = str(folder / "env/bin/python")
    call(folder, sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-build-isolation", *editable)
    return folder


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", KINDS)
def test_its_types_hold_its_tests_pass_and_it_trains(packages: Path, kind: str) -> None:
    folder, python = packages / f"mmx-my-{kind.replace('_', '-')}", str(packages / "env/bin/python")
    assert f"{kind}: my_{kind}" in call(folder, python, "-m", "mmx", "plugins")
    call(folder, sys.executable, "-m", "basedpyright", "--pythonpath", python)
    assert " passed" in call(folder, python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    own = ("--unset", "weights") if kind == "weights" else ()  # the model that its recipe starts from is the author's
    call(folder, python, "-m", "mmx", "run", "recipe.toml", "--set", "train.steps=2", *own, "--quiet")
    (run,) = (folder / "runs" / "recipe").iterdir()
    assert (run / "model" / "model.json").is_file()
