"""Reading samples, and every way in which shards can be wrong."""

import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from mmx.errors import DataError, RecipeError
from mmx.parts.dataset import BadSampleError
from mmx_shards.configs import ShardsConfig
from mmx_shards.dataset import Shards

Make = Callable[..., Path]
Members = list[tuple[str, bytes]]


def shards(*paths: Path | str, **options: Any) -> Shards:
    return Shards(ShardsConfig.model_validate({"name": "shards", "urls": [str(path) for path in paths], **options}))


def reds(dataset: Shards) -> list[int]:
    found: list[int] = []
    for index in range(len(dataset)):
        image = dataset.read(index).image
        assert image is not None
        pixel = image.getpixel((0, 0))
        assert isinstance(pixel, tuple)
        found.append(pixel[0])
    return found


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_come_in_order_with_their_keys(format: int, make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", pairs, format), make("b.tar", pairs[:2], format))
    assert [dataset.key(index) for index in range(len(dataset))] == ["a/000", "a/001", "a/002", "b/000"]
    assert reds(dataset) == [100, 101, 102, 100]
    sample = dataset.read(1)
    assert (sample.key, sample.texts) == ("a/001", ("caption 1",))
    assert dataset.classes() is None


def test_samples_of_one_caption_are_of_one_group(make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", pairs), make("b.tar", pairs[:2]))
    groups = [dataset.read(index).facts["group"] for index in range(len(dataset))]
    assert groups[0] == groups[3] and len(set(groups)) == 3
    assert all(isinstance(group, int) and 0 <= group < 2**63 for group in groups)


def test_braces_name_several_shards(make: Make, pairs: Members, tmp_path: Path) -> None:
    for index in range(3):
        make(f"part-{index:02d}.tar", pairs)
    assert len(shards(f"{tmp_path}/part-{{00..02}}.tar")) == 9


def test_shards_of_one_name_have_keys_that_differ(make: Make, pairs: Members, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    dataset = shards(make("a.tar", pairs), make("x/a.tar", pairs))
    assert len({dataset.key(index) for index in range(6)}) == 6


@pytest.mark.parametrize("index", ["none", "i"])
def test_shards_whose_samples_would_have_the_same_keys_are_refused(index: str) -> None:
    with pytest.raises(RecipeError, match=r"shards 1 and 2 of 3 are both http://x/get\.tar: .*a path of its own"):
        len(shards("http://x/get.tar?f={0..2}", index=index))
    with pytest.raises(RecipeError, match=r"shards 1 and 2 of 2 are both .*a\.tar: name each shard once"):
        len(shards("a.tar", "a.tar"))


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names(format: int, make: Make, pairs: Members) -> None:
    folder = "ordner-mit-ümlaut/" + "x" * 180 + "/"
    dataset = shards(make("a.tar", [(folder + name, data) for name, data in pairs], format))
    assert dataset.key(2) == f"a/{folder}002"
    assert reds(dataset) == [100, 101, 102]


def test_members_may_stand_apart_and_in_upper_case(make: Make, pairs: Members) -> None:
    apart = [(name.upper(), data) for name, data in pairs[1::2] + pairs[::2]]
    dataset = shards(make("a.tar", apart))
    assert [dataset.read(index).texts[0] for index in range(3)] == ["caption 0", "caption 1", "caption 2"]
    assert reds(dataset) == [100, 101, 102]


def test_json_captions(make: Make, pairs: Members) -> None:
    one = b'{"caption": "a", "all": ["b", " ", "c"], "number": 3}'
    path = make("a.tar", [(name.replace("txt", "json"), one if name.endswith("txt") else data) for name, data in pairs])
    assert shards(path, caption="json:caption").read(0).texts == ("a",)
    assert shards(path, caption="json:caption").raw(0).fields["number"] == 3
    assert shards(path, caption="json:all").read(0).texts == ("b", "c")
    for field, message in (("number", "neither a text nor a list"), ("nothing", "no field 'nothing'")):
        with pytest.raises(BadSampleError, match=message):
            shards(path, caption=f"json:{field}").read(0)


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        (b'{"score": 5.5, "big": ' + b"9" * 400 + b"}", {"score": 5.5}),
        (b'{"score": NaN', {}),
        (b'{"score": Infinity}', {"score": float("inf")}),
        (b"[1, 2]", {}),
        (b'{"a":' * 100_000, {}),
        (b"\xff", {}),
        (b"", {}),
        (b'{"a": "' + b"x" * 2**20 + b'"}', {}),
    ],
)
def test_json_beside_a_caption_cannot_hurt(stored: bytes, fields: dict[str, Any], make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", [*pairs[:2], ("000.json", stored)]))
    assert dataset.raw(0).fields == fields and dataset.read(0).texts == ("caption 0",)
    assert dataset.columns(["width"])["width"].tolist() == [4]


def test_json_that_holds_the_caption_must_be_whole(make: Make, pairs: Members) -> None:
    for stored in (b'{"caption":', b"[" * 100_000, b"3"):
        dataset = shards(make("a.tar", [pairs[0], ("000.json", stored)]), caption="json:caption")
        with pytest.raises(BadSampleError, match="a/000: "):
            dataset.raw(0)


def test_runs_are_samples_of_each_shard(make: Make, pairs: Members) -> None:
    paths = [make("a.tar", pairs), make("b.tar", []), make("c.tar", pairs[:2])]
    assert list(shards(*paths).runs()) == [3, 1]


def test_an_index_beyond_the_last_sample(make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", pairs))
    for index in (3, -1):
        with pytest.raises(IndexError):
            dataset.read(index)


def test_a_pickle_reads_the_same_and_carries_no_open_file(make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", pairs))
    dataset.read(0)
    again = pickle.loads(pickle.dumps(dataset))
    assert reds(again) == reds(dataset)


def test_many_shards_keep_few_files_open(make: Make, pairs: Members, tmp_path: Path) -> None:
    for index in range(150):
        make(f"{index:03d}.tar", pairs[:2])
    dataset = shards(f"{tmp_path}/{{000..149}}.tar")
    assert reds(dataset) == [100] * 150
    open_here = [link for link in Path("/proc/self/fd").iterdir() if str(tmp_path) in str(_target(link))]
    assert 0 < len(open_here) <= 128


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def test_other_file_systems(make: Make, pairs: Members) -> None:
    data = make("a.tar", pairs).read_bytes()
    with fsspec.open("memory://shards/a.tar", "wb") as file:
        file.write(data)  # pyright: ignore
    assert reds(shards("memory://shards/a.tar")) == [100, 101, 102]


def test_a_missing_shard_is_named(make: Make, pairs: Members) -> None:
    with pytest.raises(DataError, match=r"/nowhere/x.tar does not exist"):
        len(shards(make("a.tar", pairs), "/nowhere/x.tar"))


def test_wrong_keys_name_those_that_were_seen(make: Make, pairs: Members) -> None:
    path = make("a.tar", [(name.replace("png", "tiff").replace("txt", "cap"), data) for name, data in pairs])
    with pytest.raises(
        DataError, match=r"found extensions: \.tiff \(3\) \.cap \(3\); wanted one of \.jpg .* and \.txt"
    ):
        len(shards(path))
    renamed = make("b.tar", [(name.replace("txt", "cap"), data) for name, data in pairs])
    assert len(shards(renamed, caption="cap")) == 3


def test_no_samples(make: Make) -> None:
    with pytest.raises(DataError, match="no members at all"):
        len(shards(make("a.tar", [])))
    with pytest.raises(DataError, match=r"found extensions: \.txt \(1\)"):
        len(shards(make("b.tar", [("0.txt", b"alone")])))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>" * 200, "is not a tar"),
        (b"\x1f\x8b" + b"x" * 2000, "is not a tar"),
        (b"short", "cut short: it ends inside a header"),
    ],
)
def test_what_is_no_tar(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=f"shard .*a.tar {'' if 'not' in message else 'is '}{message}"):
        len(shards(tmp_path / "a.tar"))


def test_a_sample_with_one_half_is_bad_and_named(make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", [*pairs, ("lonely.png", pairs[0][1]), ("mute.txt", b"text")]))
    assert len(dataset) == 5
    with pytest.raises(BadSampleError, match=r"a/lonely: has no caption \(\.txt\)"):
        dataset.read(3)
    with pytest.raises(BadSampleError, match=r"a/mute: has no picture \(\.jpg"):
        dataset.read(4)


@pytest.mark.parametrize(("again", "what"), [("000.png", "picture"), ("000.jpg", "picture"), ("000.txt", "caption")])
@pytest.mark.parametrize("apart", [True, False])
def test_a_second_member_for_one_key_makes_a_bad_sample(
    again: str, what: str, apart: bool, make: Make, pairs: Members
) -> None:
    members = [*pairs, (again, b"x")] if apart else [*pairs[:2], (again, b"x"), *pairs[2:]]
    path = make("a.tar", members)
    dataset = shards(path)
    assert len(dataset) == 3
    with tarfile.open(path) as tar:
        first, second = (
            m.offset_data for m in tar if m.name.startswith("000") and (m.name[-3:] == "txt") == (what == "caption")
        )
    with pytest.raises(BadSampleError, match=f"a/000: has a second {what}: .* at bytes {first} and {second} of"):
        dataset.read(0)
    assert [dataset.read(index).texts for index in (1, 2)] == [("caption 1",), ("caption 2",)]


def test_every_cut_is_an_error_or_a_bad_sample_but_never_a_wrong_one(
    make: Make, pairs: Members, tmp_path: Path
) -> None:
    data = make("a.tar", pairs).read_bytes()
    part = tmp_path / "part.tar"
    named = 0
    for end in range(0, 6 * 1024 + 1, 128):
        part.write_bytes(data[:end])
        dataset = shards(part)
        try:
            count = len(dataset)
        except DataError as error:
            assert "cut short" in str(error) or "no sample has" in str(error)
            named += 1
            continue
        for index in range(count):
            try:
                sample = dataset.read(index)
            except BadSampleError as error:
                assert str(error).startswith(f"part/00{index}: ")
                named += 1
                continue
            assert sample.texts == (f"caption {index}",)
    assert named > 10


def test_a_damaged_header_is_named_with_its_byte(make: Make, pairs: Members) -> None:
    path = make("a.tar", pairs)
    data = bytearray(path.read_bytes())
    data[1024 + 3] ^= 0x20
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a.tar has a damaged header at byte 1024"):
        len(shards(path))


def test_links_devices_and_hidden_files_are_passed_over(tmp_path: Path, make: Make, pairs: Members) -> None:
    path = make("a.tar", [("._000.png", b"x"), ("folder/.hidden.txt", b"x"), ("README", b"x"), *pairs])
    with tarfile.open(path, "a") as tar:
        for name, kind in (("009.png", tarfile.SYMTYPE), ("009.txt", tarfile.LNKTYPE), ("008.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert len(shards(path)) == 3


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        (b"", "the caption is empty"),
        (b" \n\t", "the caption is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (2**20 + 1), "1048577 bytes"),
    ],
)
def test_captions_that_cannot_be_used(caption: bytes, message: str, make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", [*pairs, ("9.png", pairs[0][1]), ("9.txt", caption)]))
    with pytest.raises(BadSampleError, match=f"a/9: .*{message}"):
        dataset.read(3)


def test_a_byte_order_mark_is_no_part_of_a_caption(make: Make, pairs: Members) -> None:
    assert shards(make("a.tar", [pairs[0], ("000.txt", b"\xef\xbb\xbfcat")])).read(0).texts == ("cat",)


def test_a_picture_that_cannot_be_decoded_is_bad_and_named(make: Make, pairs: Members) -> None:
    dataset = shards(make("a.tar", [*pairs, ("9.jpg", b"<html>"), ("9.txt", b"text")]))
    with pytest.raises(BadSampleError, match="a/9: not a JPEG"):
        dataset.read(3)


def test_options_say_that_the_first_shard_is_absent(make: Make, pairs: Members, tmp_path: Path) -> None:
    there, gone = make("a.tar", pairs), tmp_path / "b.tar"
    assert shards(there, gone).config.absent() == ""
    assert shards(gone, there).config.absent() == f"{gone} does not exist"
    assert shards("b.tar").config.absent() == f"b.tar does not exist (looked in {Path.cwd()})"
    assert shards(there, index=str(gone)).config.absent() == f"{gone} does not exist"
    assert shards(there, index="none").config.absent() == ""
    assert "is a folder; name the shards in it" in shards(str(tmp_path)).config.absent()
    assert shards(f"{tmp_path}/{{a,b}}.tar").config.absent() == ""
