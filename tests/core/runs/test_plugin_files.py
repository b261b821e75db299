"""Plugin files of a run: kept in its folder, and asked for when it goes on."""

import hashlib
from pathlib import Path

import pytest

from mmx.errors import CheckpointError, PluginError
from mmx.plugin.manager import Plugins
from mmx.runs.folder import create
from mmx.runs.layout import RunFolder
from mmx.runs.plugin_files import flags, kept, refuse_others

CODE = "from mmx.plugin.hookspecs import hookimpl\n\n@hookimpl\ndef mmx_run_start():\n    pass\n"
OTHER = CODE.replace("pass", "return")
SHA = hashlib.sha256(CODE.encode()).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy_watch.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def run(tmp_path: Path, file: Path) -> RunFolder:
    plugins = Plugins(files=[file], discover=False)
    return create(tmp_path, "r", "", "seed = 1\n", name="first", plugins=plugins)


def check(run: RunFolder, *given: Path, more: bool = False) -> None:
    refuse_others(run, given, f"mmx run --resume {run.path}", more)


def test_the_run_keeps_a_copy_and_its_sha256(run: RunFolder) -> None:
    assert (run.path / "plugins" / "toy_watch.py").read_text() == CODE
    assert run.environment()["plugin_files"] == [{"file": "toy_watch.py", "sha256": SHA}]
    assert kept(run) == ["toy_watch.py"]
    assert (
        f"mmx run --resume {run.path} --plugin {run.path}/plugins/toy_watch.py" in (run.path / "README.md").read_text()
    )


def test_a_run_without_plugin_files_asks_for_none(tmp_path: Path) -> None:
    run = create(tmp_path, "r", "", "seed = 1\n", name="plain")
    check(run)
    assert not (run.path / "plugins").exists() and flags(run.path, kept(run)) == ""


def test_the_same_file_or_the_copy_will_do(run: RunFolder, file: Path) -> None:
    check(run, file)
    check(run, run.path / "plugins" / "toy_watch.py")


def test_it_is_asked_for_with_the_command(run: RunFolder) -> None:
    with pytest.raises(PluginError) as caught:
        check(run)
    assert f"was made with --plugin toy_watch.py, and needs it again (sha256 {SHA[:12]})" in str(caught.value)
    assert str(caught.value).endswith(f"mmx run --resume {run.path} --plugin {run.path}/plugins/toy_watch.py")


def test_another_text_is_refused(run: RunFolder, file: Path) -> None:
    file.write_text(OTHER)
    with pytest.raises(PluginError, match=f"it is not what .* was made with .*then {SHA[:12]}"):
        check(run, file)


def test_a_further_file_is_refused_where_the_run_goes_on(run: RunFolder, file: Path) -> None:
    other = file.with_name("toy_other.py")
    other.write_text(OTHER)
    with pytest.raises(PluginError, match="was made without it"):
        check(run, file, other)
    check(run, file, other, more=True)


def test_a_file_that_is_gone(run: RunFolder, file: Path) -> None:
    file.unlink()
    with pytest.raises(PluginError, match=r"toy_watch\.py: cannot be read: No such file"):
        check(run, file)


def test_a_file_that_changes_while_the_run_starts(tmp_path: Path, file: Path) -> None:
    plugins = Plugins(files=[file], discover=False)
    file.write_text(OTHER)
    with pytest.raises(PluginError, match="it changed while the run was starting"):
        create(tmp_path, "r", "", "seed = 1\n", name="first", plugins=plugins)
    assert not (tmp_path / "first").exists()


def test_a_record_that_is_none(run: RunFolder) -> None:
    (run.path / "env.json").write_text('{"plugin_files": 3}')
    with pytest.raises(CheckpointError, match="plugin_files is not a list of files"):
        check(run)
