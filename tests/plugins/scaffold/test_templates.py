"""New plugins at work: registered, checked by their own tests, and trained."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mmx.plugin.manager import Plugins
from mmx.recipe import load
from mmx.runs.request import RunRequest
from mmx.train import api
from mmx.train.prepare import prepare
from mmx_scaffold.kinds import KINDS, Kind
from mmx_scaffold.names import Names
from mmx_scaffold.write import write_package, write_single

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
HEAVY = (
    "import sys, {module}, {module}.config; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'PIL')))"
)


def named(kind: Kind) -> Names:
    return Names(f"my_{kind.kind}")


@kinds
def test_registered_and_named_in_its_recipe(kind: Kind, tmp_path: Path, imports: pytest.MonkeyPatch) -> None:
    folder = write_package(kind, named(kind), tmp_path)
    imports.syspath_prepend(folder / "src")
    imports.chdir(folder)
    plugins = Plugins({"mine": import_module(named(kind).module)})
    assert [entry.status for entry in plugins.entries if entry.module == "mine"] == ["loaded"]
    entry = plugins.registries[kind.kind][named(kind).part]
    assert entry.load().__module__ == f"{named(kind).module}.{kind.file}" and entry.summary == kind.summary
    assert named(kind).part in str(load("recipe.toml", (), (), plugins.registries).resolved())


@kinds
def test_the_options_are_known_without_torch(kind: Kind, tmp_path: Path) -> None:
    folder = write_package(kind, named(kind), tmp_path)
    code = HEAVY.format(module=named(kind).module)
    assert subprocess.run([sys.executable, "-c", code], cwd=folder / "src", timeout=60).returncode == 0


def test_their_own_tests_pass_and_can_fail(tmp_path: Path) -> None:
    folders = {kind.kind: write_package(kind, named(kind), tmp_path) for kind in KINDS.values()}
    tests = [str(folders[name] / f"tests/test_my_{name}.py") for name in folders]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--import-mode=importlib", "-p", "no:cacheprovider"]
    paths = [f"--override-ini=pythonpath={' '.join(str(folder / 'src') for folder in folders.values())}"]
    done = subprocess.run([*command, *paths, *tests], capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
    loss = folders["loss"] / "src/mmx_my_loss/loss.py"
    loss.write_text(loss.read_text().replace(".sum(dim=1).mean()", ".mean()"))
    assert subprocess.run([*command, *paths, tests[3]], capture_output=True, cwd=tmp_path, timeout=200).returncode == 1


@pytest.mark.parametrize("name", ["loss", "dataset", "tracker"])
def test_a_single_file_trains(name: str, tmp_path: Path, imports: pytest.MonkeyPatch) -> None:
    imports.chdir(tmp_path)
    file = write_single(KINDS[name], named(KINDS[name]), Path())
    request = RunRequest(
        recipe=file.with_suffix(".toml"),
        overrides=("train.steps=2", "data.workers=0", "data.batch=8", "train.log_every=1"),
        unset=("evaluators.unseen_artist",),
        plugins=(file,),
        quiet=True,
    )
    said: list[str] = []
    result = api.run(prepare(request, said.append), said.append)
    assert result.exit_code == 0 and not said
    folder = Path(result.summary["run"])
    assert f'name = "my_{name}"' in (folder / "resolved.toml").read_text()
    if name == "tracker":
        assert [row.split(",")[0] for row in (folder / "steps.csv").read_text().splitlines()] == ["step", "1", "2"]
