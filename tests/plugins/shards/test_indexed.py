"""The dataset with an index: the same samples, and nothing that is not what was indexed."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmx.config import RemoteTable
from mmx.errors import DataError, RecipeError
from mmx.parts.dataset import BadSampleError, Raw
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards
from mmx_shards.format.build import build
from mmx_shards.format.index import NAME
from mmx_storage.files import Files

Make = Callable[..., Path]
Members = list[tuple[str, bytes]]


def config(*paths: Path | str, **options: Any) -> ShardsConfig:
    return ShardsConfig.model_validate({"name": "shards", "urls": [str(path) for path in paths], **options})


def indexed(*paths: Path, **options: Any) -> Shards:
    found = config(*paths, **options)
    build(Files([str(path) for path in paths]), found.extensions, paths[0].parent / NAME, 1)
    return Shards(found)


def raws(dataset: Shards) -> list[Raw | str]:
    found: list[Raw | str] = []
    for index in range(len(dataset)):
        try:
            found.append(dataset.raw(index))
        except BadSampleError as error:
            found.append(str(error))
    return found


@pytest.fixture
def mixed(pairs: Members) -> Members:
    """Return good and bad samples, with JSON that has numbers."""
    return [
        *pairs,
        ("001.json", b'{"similarity": 0.5, "width": 9999}'),
        ("000.json", b'{"similarity": 0.25, "score": 7}'),
        ("mute.png", pairs[0][1]),
        ("twice.png", pairs[0][1]),
        ("twice.txt", b"one"),
        ("twice.txt", b"two"),
        ("torn.jpg", b"no picture"),
        ("torn.txt", b"text"),
        ("torn.json", b'{"similarity": 1, "width": 5}'),
        ("silent.png", pairs[0][1]),
        ("silent.txt", b"  "),
    ]


def test_samples_are_the_same_with_and_without(make: Make, mixed: Members) -> None:
    paths = [make("a.tar", mixed), make("b.tar", []), make("c.tar", mixed[:4])]
    with_index, without = indexed(*paths), Shards(config(*paths, index="none"))
    assert with_index.catalog.index is not None and without.catalog.index is None
    assert raws(with_index) == raws(without) and len(with_index) == 9
    assert list(with_index.runs()) == list(without.runs()) == [7, 2]
    assert [with_index.key(i) for i in range(9)] == [without.key(i) for i in range(9)]
    assert with_index.notes() == ()
    names = ["width", "height", "characters", "similarity", "score"]
    ours, theirs = with_index.columns(names), without.columns(names)
    for name in names:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert ours["similarity"][:2].tolist() == [0.25, 0.5] and np.isnan(ours["similarity"][3:5]).all()


def test_columns_read_no_shard(make: Make, mixed: Members) -> None:
    path = make("a.tar", mixed)
    dataset = indexed(path)
    path.unlink()
    assert dataset.columns(["width", "score"])["score"][0] == 7
    with pytest.raises(RecipeError, match=r"no sample has the number 'aesthetic' .*: score, similarity, width"):
        dataset.columns(["aesthetic"])


def test_some_of_the_shards_in_any_order(make: Make, pairs: Members) -> None:
    paths = [make(f"{name}.tar", [(f"{name}{key}", data) for key, data in pairs]) for name in "abc"]
    indexed(*paths)
    dataset = Shards(config(paths[2], paths[0]))
    assert [dataset.key(index) for index in (0, 2, 3)] == ["c/c000", "c/c002", "a/a000"]
    assert [dataset.raw(index).texts[0] for index in (1, 5)] == ["caption 1", "caption 2"]
    assert dataset.columns(["characters"])["characters"].tolist() == [9] * 6


def test_a_shard_that_the_index_has_not(make: Make, pairs: Members) -> None:
    indexed(make("a.tar", pairs))
    dataset = Shards(config(make("a.tar", pairs), make("b.tar", pairs)))
    with pytest.raises(DataError, match=r"b\.tar is not in the index .*run mmx data index again with all"):
        len(dataset)


def test_a_shard_that_does_not_exist_is_not_called_new(make: Make, pairs: Members, tmp_path: Path) -> None:
    indexed(make("a.tar", pairs))
    with pytest.raises(DataError, match=r"b\.tar does not exist|there is no .*b\.tar") as caught:
        len(Shards(config(tmp_path / "a.tar", tmp_path / "b.tar")))
    assert "is new" not in str(caught.value)


def test_an_index_of_other_captions(make: Make, pairs: Members) -> None:
    path = make("a.tar", pairs)
    indexed(path)
    with pytest.raises(
        DataError, match=r"of \.txt captions .*what it is of, or.*mmx data index .*a\.tar --caption json:c"
    ):
        len(Shards(config(path, caption="json:c")))


def test_an_index_that_is_named_must_be_there(make: Make, pairs: Members, tmp_path: Path) -> None:
    path = make("a.tar", pairs)
    with pytest.raises(DataError, match=r"there is no index at .*x\.index"):
        len(Shards(config(path, index=str(tmp_path / "x.index"))))
    indexed(path)
    (tmp_path / NAME).rename(tmp_path / "x.index")
    assert Shards(config(path, index=str(tmp_path / "x.index"))).notes() == ()


def test_without_an_index_a_shard_that_ends_inside_a_member_is_an_error(make: Make, pairs: Members) -> None:
    good, cut = make("a.tar", pairs), make("b.tar", pairs)
    cut.write_bytes(cut.read_bytes()[: 4 * 1024 + 520])
    with pytest.raises(DataError, match=r"b\.tar is cut short: its last member ends at byte 5120, the shard at 4616"):
        len(Shards(config(good, cut)))


def test_without_an_index_the_notes_say_what_is_not_known(make: Make, pairs: Members) -> None:
    good, cut = make("a.tar", pairs), make("b.tar", pairs)
    cut.write_bytes(cut.read_bytes()[: 4 * 1024])
    notes = Shards(config(good, cut, caption="txt")).notes()
    assert f"mmx data index {good} {cut}" in notes[0] and "cannot be proved" in notes[0]
    assert notes[1] == f"without a tar's end mark, so maybe cut short: {cut}"
    assert len(Shards(config(good)).notes()) == 1


def test_members_that_are_passed_over_for_their_dots_are_noted(make: Make, pairs: Members) -> None:
    path = make("a.tar", [*pairs, ("a.5.png", pairs[0][1]), ("b.5.png", pairs[0][1]), ("c.depth.npy", b"")])
    notes = Shards(config(path)).notes()
    assert notes[1:] == ("2 members such as 'a.5.png' are passed over, since a key ends at the first dot of a name",)
    assert Shards(config(path, image=("png", "5.png"))).notes()[1:] == ()


def test_the_index_of_shards_at_urls_goes_to_a_file(make: Make, pairs: Members) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/notes/a.tar", make("a.tar", pairs).read_bytes())
    notes = Shards(config("memory://notes/a.tar")).notes()
    assert "mmx data index memory://notes/a.tar --to mmx-index.safetensors" in notes[0]


def test_notes_have_no_secrets_and_can_be_pasted(make: Make, pairs: Members) -> None:
    path = make("it's.tar", pairs)
    assert f"mmx data index '{path.parent}/it'\"'\"'s.tar'" in Shards(config(path)).notes()[0]


def test_a_pickle_carries_no_rows(make: Make, pairs: Members) -> None:
    path = make("a.tar", [(f"{number}{key}", data) for number in range(200) for key, data in pairs])
    dataset = indexed(path)
    assert len(dataset) == 600
    sent = pickle.dumps(dataset)
    assert len(sent) < 4000
    assert raws(pickle.loads(sent)) == raws(dataset)


def test_an_index_at_a_url_is_fetched(make: Make, pairs: Members, tmp_path: Path) -> None:
    import fsspec

    path = make("a.tar", pairs)
    indexed(path)
    for name in ("a.tar", NAME):
        with fsspec.open(f"memory://away/{name}", "wb") as file:
            file.write((tmp_path / name).read_bytes())  # pyright: ignore
    dataset = Shards(config("memory://away/a.tar"))
    assert dataset.notes() == () and raws(dataset) == raws(Shards(config(path)))


def test_reading_ahead_names_what_will_be_read(make: Make, pairs: Members, monkeypatch: pytest.MonkeyPatch) -> None:
    big, twice = b"x" * (2**20 + 1), ("twice.txt", b"x")
    bad = [("lonely.png", pairs[0][1]), ("big.png", pairs[0][1]), ("big.txt", big), ("twice.png", big), twice, twice]
    path = make("a.tar", [*pairs, *bad])
    dataset = indexed(path)
    noted: list[tuple[int, int, int]] = []
    read: list[tuple[int, int, int]] = []
    before = Files.read

    def reading(self: Files, *span: int) -> bytes:
        read.append((span[0], span[1], span[2]))
        return before(self, *span)

    monkeypatch.setattr(Files, "ahead", lambda self, spans: noted.extend(spans))  # pyright: ignore
    monkeypatch.setattr(Files, "read", reading)
    dataset.ahead([2, 0])
    for index in (2, 0):
        dataset.raw(index)
    assert noted == read and len(read) == 2  # one read for each sample
    dataset.ahead([3, 4, 5])
    assert len(noted) == 2, "what is refused is fetched"
    assert len([raw for raw in raws(dataset) if isinstance(raw, str)]) == 3


def test_options_for_what_is_at_a_path(make: Make, pairs: Members, tmp_path: Path) -> None:
    paths = [make(f"{name}.tar", pairs) for name in ("b", "a")]
    (tmp_path / "a_stats.json").write_text(json.dumps({}))
    (tmp_path / "a.parquet").write_bytes(b"")
    folder = ShardsConfig.at("shards", str(tmp_path))
    assert folder is not None and folder.urls == tuple(map(str, sorted(paths)))
    for pattern in (str(paths[0]), f"{tmp_path}/{{a,b}}.tar", "s3://bucket/{000..127}.tar", "https://x/a.tar?k=1"):
        found = ShardsConfig.at("shards", pattern)
        assert found is not None and found.urls == (pattern,)
    (tmp_path / "other").mkdir()
    for other in ("x.csv", "{a.tar", "pipe:cat a.tar", str(tmp_path / "other"), str(tmp_path / "a.parquet"), ""):
        assert ShardsConfig.at("shards", other) is None


def test_remote_options_reach_the_files() -> None:
    dataset = Shards(config("a.tar", remote={"timeout": 1.5}))
    assert dataset.files._options == RemoteTable(timeout=1.5)
