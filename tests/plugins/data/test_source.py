"""What reads a path, and what is said where nothing does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmx.data.keep import dropped
from mmx.errors import DataError, RecipeError
from mmx.plugin.manager import Plugins
from mmx.plugin.registry import Registries
from mmx_data.source import Source, find

Find = Callable[..., Source]
Write = Callable[..., Path]


@pytest.fixture
def registries(toy: Path) -> Registries:
    return Plugins(files=[toy]).registries


def test_the_dataset_that_knows_the_path_reads_it(write: Write, source: Find) -> None:
    path = write({"key": "a"})
    found = source(path, "upper=true")
    assert found.table() == f'[data.train]\nname = "toy"\npath = "{path}"\nupper = true'
    assert found.build().raw(0).texts == ("A RED THING",)


def test_long_lists_have_a_line_for_each_item(registries: Registries, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{at}.tar") for at in range(3)]
    for path in paths:
        Path(path).write_bytes(bytes(10240))
    rows = find(str(tmp_path), registries).table().splitlines()
    assert rows[2:] == ["urls = [", *(f'    "{path}",' for path in paths), "]"]


def test_nothing_reads_it(registries: Registries, tmp_path: Path) -> None:
    for name in ("a.doc", "b.DOC", "sub/c.xyz", "README"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(DataError) as found:
        find(str(tmp_path), registries)
    text = str(found.value)
    assert "is a folder with 2 .doc, 1 .xyz, 1 without extension" in text.replace(
        "1 without extension, 1 .xyz", "1 .xyz, 1 without extension"
    )
    assert "toy: drawn pictures of one colour" in text and "shards: " in text and "emoji" not in text
    with pytest.raises(DataError, match="does not exist"):
        find(str(tmp_path / "no"), registries)
    with pytest.raises(DataError, match="is a file of 0 bytes"):
        find(str(tmp_path / "a.doc"), registries)


def test_a_password_is_not_shown(registries: Registries) -> None:
    with pytest.raises(RecipeError, match=r"'https://host/data.xyz' has a password in it") as found:
        find("https://me:secret@host/data.xyz?token=other", registries)
    assert "secret" not in str(found.value) and "other" not in str(found.value)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("data/*.tar", "'\\*' is not read; name shards with braces"),
        ("pipe:cat x", "cannot be read: expected a path, or a URL"),
    ],
)
def test_what_no_dataset_may_read_is_said_as_in_a_recipe(path: str, told: str, registries: Registries) -> None:
    with pytest.raises(RecipeError, match=told):
        find(path, registries)


def test_a_folder_at_http_cannot_be_listed(registries: Registries) -> None:
    with pytest.raises(DataError, match="folders at http cannot be listed: name the files"):
        find("https://host/pairs/", registries)


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("shards", DataError, "shards: "),
        ("toys", RecipeError, "did you mean 'toy'"),
        ("emoji", DataError, "no dataset"),
    ],
)
def test_a_dataset_that_is_named(
    name: str, error: type[Exception], told: str, registries: Registries, write: Write
) -> None:
    path = str(write({"key": "a"}))
    assert find(path, registries, "toy").config.name == "toy"
    with pytest.raises(error, match=told):
        find(path, registries, name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("upper", "should be KEY=VALUE"),
        ("upper=", "should be KEY=VALUE"),
        ("upper=3", "--set upper: should be true or false, not 3"),
        ("uper=true", "--set uper: unknown key; did you mean 'upper'"),
        ("colour=3", "--set colour: unknown key .known: name, keep, samples, remote, draft, max_pixels, path, upper"),
        ("keep.min_sid=3", "--set keep.min_sid: unknown key; did you mean 'min_side'"),
        ("keep.fields.score=0.3", "--set keep.fields.score: should be a table such as . min = 0.3 ., not 0.3"),
        ("path.x=1", "the key leads nowhere"),
        ("keep.min_side=0", "--set keep.min_side: should be greater than 0"),
        ("upper=[1", "is not a TOML value"),
    ],
)
def test_options_that_are_wrong(text: str, told: str, write: Write, source: Find) -> None:
    with pytest.raises(RecipeError, match=told):
        source(write({"key": "a"}), text)


def test_options_in_tables(write: Write, source: Find) -> None:
    found = source(write({"key": "a"}), "remote.timeout=3.0", "max_pixels=40")
    assert "remote = { timeout = 3.0 }" in found.table() and found.largest == 40


def test_options_may_filter(many: Path, source: Find) -> None:
    found = source(many, "keep.min_side=30", "keep.fields.score.max=1.9")
    dataset = found.build()
    kept = [dataset.key(index) for index in range(len(dataset))]
    assert kept == [f"{at:03d}" for at in (5, 10, *range(12, 20))], "a picture that cannot be read passes"
    assert dropped(dataset) == {"min_side": 9, "fields.score": 4}
    assert dataset.raw(1).key == "010" and dataset.read(1).texts == ("thing 10",)
    assert "keep = { min_side = 30, fields = { score = { max = 1.9 } } }" in found.table()
    with pytest.raises(RecipeError, match="no sample has the number 'sharpness'"):
        source(many, "keep.fields.sharpness.min=1").build()
    with pytest.raises(DataError, match="keep leaves none of the 23 samples"):
        source(many, "keep.fields.score.min=100").build()
