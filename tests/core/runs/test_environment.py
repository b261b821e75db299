"""What env.json says, and that finding it out runs nothing and never fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from distributions import install
from mmx.plugin.manager import Plugins
from mmx.runs.environment import changed, commit, describe, used

HASH = "0123456789abcdef0123456789abcdef01234567"


def test_the_environment_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    found = describe(["mmx", "run", "x", "--token", "abc"])
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["argv"] == ["mmx", "run", "x", "--token", "***"]
    assert found["cpus"] >= 1 and found["torch"][0].isdigit()


def git(folder: Path, head: str) -> Path:
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text(head)
    return folder / ".git"


def test_the_commit_of_a_branch(tmp_path: Path) -> None:
    branch = git(tmp_path, "ref: refs/heads/main\n") / "refs" / "heads" / "main"
    branch.parent.mkdir(parents=True)
    branch.write_text(HASH + "\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert commit(tmp_path) == commit(tmp_path / "deep" / "er") == HASH


def test_a_commit_without_a_branch_and_one_that_is_packed(tmp_path: Path) -> None:
    git(tmp_path / "detached", HASH + "\n")
    packed = git(tmp_path / "packed", "ref: refs/heads/main\n")
    (packed / "packed-refs").write_text(f"# pack-refs\n{'f' * 40} refs/heads/mai\n{HASH} refs/heads/main\n")
    assert commit(tmp_path / "detached") == commit(tmp_path / "packed") == HASH


def test_the_commit_of_a_worktree(tmp_path: Path) -> None:
    main = git(tmp_path / "main", "ref: refs/heads/main\n")
    (main / "refs/heads").mkdir(parents=True)
    (main / "refs/heads/side").write_text(HASH)
    own = main / "worktrees" / "side"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "side").mkdir()
    (tmp_path / "side" / ".git").write_text(f"gitdir: {own}\n")
    assert commit(tmp_path / "side") == HASH


@pytest.mark.parametrize(
    "head", ["", "nonsense", "ref: refs/heads/gone", "ref: ../../secret", "ref: refs/../../secret"]
)
def test_what_cannot_be_told_is_none_and_no_other_file_is_shown(tmp_path: Path, head: str) -> None:
    git(tmp_path / "x", head)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "x" / "secret").write_text("secret")
    assert commit(tmp_path / "x") is None


def test_a_folder_without_git_and_one_that_is_gone(tmp_path: Path) -> None:
    assert commit(tmp_path / "gone") == commit(tmp_path)


def test_describing_starts_no_process_and_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "processes = ('subprocess.Popen', 'os.system', 'os.fork', 'os.exec', 'os.posix_spawn')\n"
        "sys.addaudithook(lambda event, _: sys.exit(event) if event in processes else None)\n"
        "from mmx.runs.environment import describe\n"
        "describe([])\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60)


def test_an_installed_plugin_that_changed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "toy-edited", part="edited")
    plugins = Plugins()
    assert plugins.summon("toy-edited 1.0 (toy_edited)") == ""
    (before,) = used(plugins)
    assert before["distribution"] == "toy-edited" and len(before["sha256"]) == 64
    assert changed([before], plugins) == changed([], plugins) == []
    assert changed([{**before, "version": "0.9"}], plugins) == ["toy-edited is 1.0 now, and was 0.9"]
    with (tmp_path / "toy_edited.py").open("a") as file:
        file.write("SHARPER = True\n")
    assert changed([before], plugins) == ["toy-edited 1.0 has other code now (toy_edited)"]
    del sys.modules["toy_edited"]
