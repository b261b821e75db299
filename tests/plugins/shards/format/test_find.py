"""Which shards are meant."""

from pathlib import Path

import pytest

from mmx.errors import RecipeError
from mmx_shards.format.find import shards_of, tars_in


def test_folders_braces_paths_and_urls(tmp_path: Path) -> None:
    for name in ("00001.tar", "00000.tar", "00000.parquet", "00000_stats.json", ".hidden.tar"):
        (tmp_path / name).write_bytes(b"")
    tars = [str(tmp_path / "00000.tar"), str(tmp_path / "00001.tar")]
    assert list(tars_in(str(tmp_path))) == tars
    assert shards_of([str(tmp_path), "s3://b/{0..1}.tar"]) == [*tars, "s3://b/0.tar", "s3://b/1.tar"]
    assert list(tars_in(str(tmp_path / "nothing"))) == []


def test_a_folder_with_a_tar_among_many_other_files_is_not_of_shards(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:03d}.jpg").write_bytes(b"")
    (tmp_path / "z.tar").write_bytes(b"")
    assert list(tars_in(str(tmp_path))) == []


def test_what_cannot_be_understood() -> None:
    for pattern in ("pipe:cat x", "{a", "*.tar"):
        with pytest.raises(RecipeError):
            shards_of([pattern])
