"""Making an index, and what is in it."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mmx.config import RemoteTable
from mmx.errors import DataError, RecipeError
from mmx_shards.format import build as building
from mmx_shards.format.build import Built, build
from mmx_shards.format.index import Index, open_index
from mmx_shards.format.roles import Extensions
from mmx_storage.files import Files

Make = Callable[..., Path]
Triples = Callable[..., list[tuple[str, bytes]]]


def made(paths: Sequence[Path], to: Path, workers: int = 1, skip: bool = False, caption: str = "txt") -> Built:
    return build(Files([str(path) for path in paths]), Extensions(caption=caption), to, workers, skip)


def opened(path: Path) -> Index:
    return open_index(str(path), RemoteTable())


def test_an_index_has_what_is_in_the_shards(make: Make, triples: Triples, tmp_path: Path) -> None:
    paths = [make("a.tar", triples(3)), make("b.tar", triples(2, start=7))]
    told: list[int] = []
    built = build(
        Files([str(path) for path in paths]),
        Extensions(),
        tmp_path / "i",
        1,
        tell=lambda part: told.append(part.sizes.samples),
    )
    assert (built.samples, built.numbers, built.left_out, told) == (5, ["similarity"], [], [3, 2])
    index = opened(tmp_path / "i")
    assert [index.rows.key(row) for row in range(5)] == ["000", "001", "002", "007", "008"]
    assert [shard.name for shard in index.contents.shards] == ["a.tar", "b.tar"]
    for shard, path in zip(index.contents.shards, paths, strict=True):
        assert (shard.size, shard.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert index.facts.sides.tolist() == [[4, 3], [5, 3], [6, 3], [11, 3], [12, 3]]
    assert index.facts.characters.tolist() == [9] * 5
    assert index.facts.numbers["similarity"].tolist() == [0.0, 0.1, 0.2, 0.7, 0.8]
    place = index.rows.place(4)
    data = paths[1].read_bytes()
    assert data[place.caption[0] : sum(place.caption)] == b"caption 8"
    assert json.loads(data[place.json[0] : sum(place.json)])["similarity"] == 0.8
    assert [index.find(str(path)) for path in (*paths, tmp_path / "c.tar")] == [0, 1, None]


def test_safetensors_reads_it_and_it_is_the_same_on_any_number_of_cores(
    make: Make, triples: Triples, tmp_path: Path
) -> None:
    paths = [make(f"{number}.tar", triples(number, extra=number)) for number in range(1, 5)]
    for workers in (1, 2):
        made(paths, tmp_path / f"i{workers}", workers)
    assert (tmp_path / "i1").read_bytes() == (tmp_path / "i2").read_bytes()
    arrays, index = load_file(tmp_path / "i1"), opened(tmp_path / "i1")
    assert len(index.rows) == 10
    for name, mine in (("places", index.rows.places), ("checks", index.facts.checks), ("sides", index.facts.sides)):
        assert np.array_equal(arrays[name], mine) and mine.flags.aligned and not mine.flags.writeable
    assert arrays["number:extra"].tolist() == [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]


def test_numbers_are_of_any_sample_and_at_most_64(make: Make, triples: Triples, tmp_path: Path) -> None:
    many = {f"n{number:03d}": number for number in range(80)}
    odd = triples(1, start=5, **many, flag=True, text="1", big=10**400, nan=float("nan"), inf=float("inf"))
    deep = [("9.png", triples(1)[0][1]), ("9.txt", b"x"), ("9.json", b'{"a":' * 100_000)]
    built = made([make("a.tar", triples(2)), make("b.tar", [*odd, *deep])], tmp_path / "i")
    assert len(built.numbers) == 64 and built.numbers[-1] == "similarity" and "n079" in built.left_out
    assert not {"flag", "text", "big", "nan"} & {*built.numbers, *built.left_out}
    numbers = opened(tmp_path / "i").facts.numbers
    assert np.isnan(numbers["n001"][[0, 1, 3]]).all() and numbers["n001"][2] == 1 and numbers["inf"][2] == np.inf


def test_what_samples_lack_is_said_by_name(make: Make, triples: Triples, tmp_path: Path) -> None:
    good = triples(2)
    members = [
        *good,
        ("mute.png", good[0][1]),
        ("blind.txt", b"x"),
        ("alone.json", b"{}"),
        ("000.jpg", b"second"),
        ("torn.jpg", b"\xff\xd8"),
        ("torn.txt", b"x"),
        ("silent.png", good[0][1]),
        ("silent.txt", b"  "),
    ]
    built = made([make("a.tar", members)], tmp_path / "i")
    found = built.parts[0].findings
    assert found.names == {
        "a second picture": ["000"],
        "a picture whose header cannot be read": ["torn"],
        "a caption that cannot be used": ["silent"],
        "no picture (.jpg .jpeg .png .webp .gif)": ["blind"],
        "no caption (.txt)": ["mute"],
    }
    index = opened(tmp_path / "i")
    keys = [index.rows.key(row) for row in range(len(index.rows))]
    assert keys == ["000", "001", "mute", "blind", "torn", "silent"]
    assert index.rows.twice.tolist() == [[0, 0, index.rows.twice[0, 2]]] and index.rows.again(1) is None
    assert index.facts.characters.tolist() == [-1, 9, -1, 1, 1, -1]
    assert index.facts.sides[4].tolist() == [0, 0]


def test_damaged_shards_are_all_named_and_nothing_is_written(make: Make, triples: Triples, tmp_path: Path) -> None:
    good, cut, torn = (make(f"{name}.tar", triples(3)) for name in ("good", "cut", "torn"))
    os.truncate(cut, 512 * 6)  # at the end of a member
    torn.write_bytes(torn.read_bytes()[:1000])
    folder = tmp_path / "out"
    with pytest.raises(
        DataError, match=r"(?s)cut\.tar is cut short.*torn\.tar is cut short.*2 of 3 shards.*--skip-dam"
    ):
        made([good, cut, torn], folder / "i")
    assert not list(folder.iterdir())
    built = made([good, cut, torn], folder / "i", skip=True)
    assert built.samples == 3 and [bool(part.damage) for part in built.parts] == [False, True, True]
    assert [shard.name for shard in opened(folder / "i").contents.shards] == ["../good.tar"]
    assert list(folder.iterdir()) == [folder / "i"]


def test_a_shard_that_is_not_there_is_never_skipped(make: Make, triples: Triples, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b\.tar does not exist"):
        made([make("a.tar", triples(1)), tmp_path / "b.tar"], tmp_path / "i", skip=True)


def test_two_tars_in_one_file_are_noted(make: Make, triples: Triples, tmp_path: Path) -> None:
    path = make("a.tar", triples(1))
    path.write_bytes(path.read_bytes() * 2)
    built = made([path], tmp_path / "i")
    assert "members behind the end mark, which are not read" in built.parts[0].findings.names


def test_no_sample_can_be_used(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found extensions: \.txt \(1\); wanted one of \.jpg"):
        made([make("a.tar", [("a.txt", b"x")])], tmp_path / "i")


def test_an_index_of_which_no_sample_can_be_used_is_not_written(make: Make, triples: Triples, tmp_path: Path) -> None:
    path = make("a.tar", triples())
    assert made([path], tmp_path / "i", caption="json:url").parts[0].usable == 3
    before = (tmp_path / "i").read_bytes()
    with pytest.raises(
        DataError,
        match=r"no sample can be used: .* 000, 001, 002 \(the first: the JSON has no field 'utl' .*no index .*json:utl",
    ):
        made([path], tmp_path / "i", caption="json:utl")
    assert (tmp_path / "i").read_bytes() == before, "a good index is not replaced"


def test_members_that_are_passed_over_for_their_dots_are_named(make: Make, triples: Triples, tmp_path: Path) -> None:
    built = made([make("a.tar", [*triples(), ("a.5.png", b"x")])], tmp_path / "i")
    assert built.parts[0].findings.names["passed over, since a key ends at the first dot of a name"] == ["a.5.png"]


def test_an_old_index_stays_until_the_new_one_is_whole(
    make: Make, triples: Triples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, to = make("a.tar", triples(1)), tmp_path / "i"
    made([path], to)
    before = to.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(building, "write_index", full)
    with pytest.raises(DataError, match=r"cannot be written: No space left .*--to"):
        made([path], to)
    assert to.read_bytes() == before and sorted(tmp_path.iterdir()) == [path, to]


def test_a_pickle_is_small_and_opens_the_same_index(make: Make, triples: Triples, tmp_path: Path) -> None:
    path, to = make("a.tar", triples(100)), tmp_path / "i"
    made([path], to)
    sent = pickle.dumps(opened(to))
    assert len(sent) < 1000 and len(pickle.loads(sent).rows) == 100
    made([make("a.tar", triples(99))], to)
    with pytest.raises(DataError, match="changed since"):
        pickle.loads(sent)


def test_captions_in_json(make: Make, triples: Triples, tmp_path: Path) -> None:
    made([make("a.tar", triples(2, words=["one", "three"]))], tmp_path / "i", caption="json:words")
    index = opened(tmp_path / "i")
    assert index.facts.characters.tolist() == [5, 5] and index.rows.place(0).json == (-1, 0)
    assert index.facts.numbers["similarity"].tolist() == [0, 0.1]


def test_shards_at_urls(make: Make, triples: Triples, tmp_path: Path) -> None:
    import fsspec

    path = make("a.tar", triples(3))
    with fsspec.open("memory://indexed/a.tar", "wb") as file:
        file.write(path.read_bytes())  # pyright: ignore
    build(Files(["memory://indexed/a.tar"]), Extensions(), tmp_path / "i", 1)
    made([path], tmp_path / "j")
    away, here = opened(tmp_path / "i"), opened(tmp_path / "j")
    assert away.find("memory://indexed/a.tar") == 0 and away.find(str(path)) is None
    assert away.contents.shards[0].sha256 == here.contents.shards[0].sha256
    assert np.array_equal(away.facts.checks, here.facts.checks)


@pytest.mark.parametrize(
    "urls",
    [
        ["https://x/get.tar?f=0", "https://x/a.tar", "https://x/get.tar?f=1"],
        ["https://me@x/get.tar", "https://x/a.tar", "https://x/get.tar"],
        ["x/get.tar", "x/a.tar", "./x/../x/get.tar"],
    ],
)
def test_shards_that_an_index_cannot_tell_apart_are_refused_unread(urls: list[str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"shards 1 and 3 of 3 are both .*x/get\.tar: .*a path of its own") as caught:
        build(Files(urls), Extensions(), tmp_path / "out" / "i", 1)
    assert "f=" not in str(caught.value) and "me@" not in str(caught.value) and not list(tmp_path.iterdir())
