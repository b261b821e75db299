"""Writing a plugin: all of it or nothing, and over nothing."""

from pathlib import Path

import pytest

from mmx.errors import RecipeError
from mmx_scaffold.kinds import KINDS
from mmx_scaffold.names import Names
from mmx_scaffold.write import write_package, write_single

NAMES = Names("my_own")


def test_a_package(tmp_path: Path) -> None:
    folder = write_package(KINDS["loss"], NAMES, tmp_path / "new" / "place")
    assert folder == tmp_path / "new" / "place" / "mmx-my-own"
    assert [path.name for path in folder.parent.iterdir()] == ["mmx-my-own"]
    assert (folder / ".github/workflows/test.yml").is_file() and (folder / "src/mmx_my_own/py.typed").is_file()


def test_a_single_file(tmp_path: Path) -> None:
    assert write_single(KINDS["loss"], NAMES, tmp_path) == tmp_path / "my_own.py"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_own.py", "my_own.toml"]


def test_a_dataset_comes_with_pictures(tmp_path: Path) -> None:
    write_single(KINDS["dataset"], NAMES, tmp_path)
    folder = write_package(KINDS["dataset"], NAMES, tmp_path)
    for pictures in (tmp_path / "pictures", folder / "pictures"):
        assert len(list(pictures.glob("*.png"))) == len(list(pictures.glob("*.txt"))) == 24


@pytest.mark.parametrize("there", ["my_own.py", "my_own.toml", "pictures", "mmx-my-own"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    write = write_package if there == "mmx-my-own" else write_single
    with pytest.raises(RecipeError, match=f"{there} exists; it is not overwritten"):
        write(KINDS["dataset"], NAMES, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there] and (tmp_path / there).read_text() == "mine"


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="file cannot be written"):
        write_package(KINDS["loss"], NAMES, tmp_path / "file")
