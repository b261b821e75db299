"""Shards of any dataset: what webdataset and mmx read from them, and the same bytes however they came to be."""

import hashlib
import io
import json
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_expander

from mmx.errors import DataError, RecipeError
from mmx_data.pack import pack
from mmx_data.packed import Packed, index, plain, table
from mmx_data.packed_text import packed_lines
from mmx_data.picture import Recode
from mmx_data.plan import PackOptions, Part, check_pattern, order_of
from mmx_data.progress import Progress
from mmx_data.source import Source, find

Find = Callable[..., Source]
Write = Callable[..., Path]


def packed(source: Source, out: Path, per: int | None = 5, workers: int = 1, **how: Any) -> Packed:
    dataset = source.build()
    options = PackOptions(Recode(**how), shard_samples=per, workers=workers)
    parts = [Part("{}.tar", range(len(dataset)))]
    return pack(source, dataset, out, lambda: parts, options, {}, Progress())


def read(folder: Path) -> list[dict[str, Any]]:
    """Read every shard with webdataset."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.tar")):
        with path.open("rb") as stream:
            found += group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}]))
    return found


def digests(folder: Path) -> Mapping[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def size_of(sample: Mapping[str, Any], extension: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(sample[extension])).size


def test_webdataset_reads_what_was_packed(many: Path, source: Find, tmp_path: Path) -> None:
    found = source(many)
    done = packed(found, tmp_path / "out")
    samples = read(tmp_path / "out")
    assert [sample["__key__"] for sample in samples] == [f"{at:03d}" for at in range(23) if at not in (5, 11)]
    assert done.written == len(samples) == 21 and [bad.key for bad in done.bad] == ["005", "011"]
    assert [shard.written + len(shard.bad) for shard in done.shards] == [5, 5, 5, 5, 3]
    dataset = found.build()
    for sample, at in zip(samples, [at for at in range(23) if at not in (5, 11)], strict=True):
        raw, kind = dataset.raw(at), ("png", "jpg", "webp", "gif")[at % 4]
        assert sample[kind] == raw.image
        assert sample["txt"].decode() == raw.texts[0]
        fields = json.loads(sample["json"])
        assert fields["captions"] == list(raw.texts)
        assert (fields["url"], fields["score"]) == (f"https://example.com/{at}", at / 10)
        assert (fields["width"], fields["height"]) == (20 + at, 30)


def test_mmx_reads_what_was_packed(many: Path, source: Find, tmp_path: Path) -> None:
    done = packed(source(many), tmp_path / "out")
    where = index(done, 1, Progress())
    lines = table(done, "{}.tar", source(many).registries)
    assert 'caption = "json:captions"' in lines and "{00000..00004}.tar" in lines
    again = find(done.urls("{}.tar"), source(many).registries, sets=["caption=json:captions"]).build()
    assert where.is_file() and len(again) == 21
    assert again.raw(3).texts == ("thing 3", "object 3") and again.raw(4).texts == ("thing 4",)
    assert again.key(0) == "00000/000"


def test_filters_leave_out_before_anything_is_packed(many: Path, source: Find, tmp_path: Path) -> None:
    done = packed(source(many, "keep.min_characters=8", "keep.fields.score.max=1.5"), tmp_path / "out")
    assert [sample["__key__"] for sample in read(tmp_path / "out")] == [
        f"{at:03d}" for at in (0, 3, 6, 9, 10, 12, 13, 14, 15)
    ]
    assert done.left_out == {"min_characters": 6, "fields.score": 8}
    assert 23 == done.written + len(done.bad) + sum(done.left_out.values())
    assert "  left out        14 (keep.min_characters: 6, keep.fields.score: 8)" in packed_lines(done, tmp_path)
    assert plain(done, tmp_path, {})["left_out"] == done.left_out
    with pytest.raises(DataError, match=r"source.keep = .*, now"):
        packed(source(many, "keep.min_characters=9"), tmp_path / "out")


def test_an_order_at_random_depends_on_the_seed_only(many: Path, source: Find, tmp_path: Path) -> None:
    keys = {}
    for name, seed in (("own", None), ("first", 1), ("again", 1), ("other", 2)):
        dataset = source(many).build()
        parts, options = [Part("{}.tar", order_of(dataset, seed))], PackOptions(shard_samples=5, workers=2)
        pack(source(many), dataset, tmp_path / name, lambda parts=parts: parts, options, {}, Progress())
        keys[name] = [sample["__key__"] for sample in read(tmp_path / name)]
    assert keys["own"] == sorted(keys["own"]) != keys["first"] == keys["again"] != keys["other"]
    assert set(keys["own"]) == set(keys["first"]) == set(keys["other"])
    assert digests(tmp_path / "first") == digests(tmp_path / "again")


def test_what_was_skipped_is_listed_by_name(many: Path, source: Find, tmp_path: Path) -> None:
    done = packed(source(many), tmp_path / "out")
    listed = [json.loads(line) for line in (tmp_path / "out/skipped.jsonl").read_text().splitlines()]
    assert [(line["shard"], line["key"]) for line in listed] == [("00001.tar", "005"), ("00002.tar", "011")]
    assert (
        listed[0]["reason"].startswith("not a JPEG, PNG, WEBP or GIF picture")
        and listed[1]["reason"] == "has no caption"
    )
    assert 23 == done.written + len(listed)


def test_bytes_do_not_depend_on_the_number_of_processes(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "one", workers=1, size=16, format="webp")
    packed(source(many), tmp_path / "two", workers=2, size=16, format="webp")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert len(digests(tmp_path / "one")) == 5 + 2


def test_members_have_no_owner_and_no_time(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    with tarfile.open(tmp_path / "out/00000.tar") as tar:
        assert {(member.mtime, member.uid, member.gid) for member in tar} == {(0, 0, 0)}
        assert tar.getnames()[:3] == ["000.json", "000.png", "000.txt"]


@pytest.mark.parametrize(("format", "extension"), [("keep", "jpg"), ("webp", "webp"), ("png", "png")])
def test_large_pictures_are_made_smaller(
    format: str, extension: str, write: Write, source: Find, tmp_path: Path
) -> None:
    path = write(
        {"key": "large", "size": [80, 40], "format": "JPEG"}, {"key": "small", "size": [12, 9], "format": "JPEG"}
    )
    packed(source(path), tmp_path / "out", size=20, format=format)
    large, small = read(tmp_path / "out")
    assert size_of(large, extension) == (40, 20) and size_of(small, extension) == (12, 9)
    fields = json.loads(large["json"])
    assert (fields["width"], fields["original_width"], fields["original_height"]) == (40, 80, 40)
    assert "original_width" not in json.loads(small["json"])
    if format == "keep":
        assert small["jpg"] == source(path).build().raw(1).image


def test_a_picture_that_the_format_cannot_hold_is_skipped(write: Write, source: Find, tmp_path: Path) -> None:
    path = write({"key": "wide", "size": [16_384, 1]}, {"key": "b"})
    done = packed(source(path), tmp_path / "out", format="webp")
    assert done.written == 1 and done.bad[0].key == "wide"
    assert done.bad[0].reason.startswith("cannot be encoded as webp")


def test_animations_that_change_become_png(write: Write, source: Find, tmp_path: Path) -> None:
    packed(source(write({"key": "a", "size": [30, 30], "format": "GIF"})), tmp_path / "out", size=10)
    assert size_of(read(tmp_path / "out")[0], "png") == (10, 10)


def test_the_size_of_shards_is_met_about(write: Write, source: Find, tmp_path: Path) -> None:
    path = write(*({"key": f"{at:04d}", "size": [64, 64]} for at in range(200)))
    dataset = source(path).build()
    parts = [Part("{}.tar", range(200))]
    done = pack(source(path), dataset, tmp_path / "out", lambda: parts, PackOptions(shard_mb=0.1), {}, Progress())
    sizes = [shard.bytes for shard in done.shards]
    assert len(sizes) > 3 and all(80_000 < size < 120_000 for size in sizes[:-1])


def test_keys_are_made_safe_and_unique(write: Write, source: Find, tmp_path: Path) -> None:
    keys = ["/etc/passwd", "../../up", "a.b", "a_b", "a_b", "fo.o/x.y.z", "bell\a", "__meta__/x", "", "a_b_2"]
    done = packed(source(write(*({"key": key} for key in keys))), tmp_path / "out")
    found = [sample["__key__"] for sample in read(tmp_path / "out")]
    assert found == ["etc/passwd", "up", "a_b", "a_b_3", "a_b_4", "fo.o/x_y_z", "bell_", "x__meta__/x", "_", "a_b_2"]
    assert done.keys.changed == 9 and done.keys.examples[0] == ("/etc/passwd", "etc/passwd")
    assert json.loads(read(tmp_path / "out")[0]["json"])["key"] == "/etc/passwd"


def test_fields_that_json_cannot_hold_become_text(tmp_path: Path) -> None:
    from mmx.parts.dataset import Raw
    from mmx_data.picture import Stored
    from mmx_data.shard import members

    fields = {"nan": float("nan"), "bytes": b"x", "list": (1, {2: 3}), "captions": ["other", "texts"]}
    made = members("k", Raw("k", b"", ("text",), fields), Stored(b"", "png", 1, 2, None))
    assert json.loads(made["json"]) == {
        "nan": None,
        "bytes": "b'x'",
        "list": [1, {"2": 3}],
        "captions": ["other", "texts"],
        "width": 1,
        "height": 2,
    }


def test_datasets_are_told_of_what_is_read_next(write: Write, source: Find, tmp_path: Path) -> None:
    found = source(write(*({"key": f"{at:03d}"} for at in range(150))))
    dataset: Any = found.build()
    parts = [Part("{}.tar", range(150))]
    pack(found, dataset, tmp_path / "out", lambda: parts, PackOptions(shard_samples=150), {}, Progress())
    assert dataset.told == list(range(150))


def test_the_same_command_again_writes_nothing(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    done = packed(source(many), tmp_path / "out")
    assert done.before == 5 and done.written == 21
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}


def test_a_shard_that_is_gone_or_cut_short_is_written_again(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    whole = digests(tmp_path / "out")
    (tmp_path / "out/00001.tar").unlink()
    (tmp_path / "out/00003.tar").write_bytes(b"short")
    assert packed(source(many), tmp_path / "out").before == 3
    assert digests(tmp_path / "out") == whole


def test_a_journal_that_is_cut_anywhere_leads_to_the_same(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    whole = digests(tmp_path / "out")
    journal = tmp_path / "out/pack.jsonl"
    text, seen = journal.read_bytes(), set[int]()
    for cut in range(0, len(text), 97):
        journal.write_bytes(text[:cut])
        (tmp_path / "out/.00000.tar.1.tmp").write_bytes(b"half")
        seen.add(packed(source(many), tmp_path / "out").before)
        assert digests(tmp_path / "out") == whole
    assert seen >= {0, 1, 4}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"size": 4}, "size = null, now 4"),
        ({"per": 6}, "shard_samples = 5, now 6"),
        ({"quality": 80}, "quality = 90, now 80"),
    ],
)
def test_other_options_are_refused(change: dict[str, Any], told: str, many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    whole = digests(tmp_path / "out")
    with pytest.raises(DataError, match=told):
        packed(source(many), tmp_path / "out", **change)
    assert digests(tmp_path / "out") == whole


def test_another_source_is_refused(many: Path, write: Write, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    with pytest.raises(DataError, match=r"source\.upper = null, now true"):
        packed(source(many, "upper=true"), tmp_path / "out")
    write(*({"key": f"other{at}"} for at in range(23)))
    with pytest.raises(DataError, match="keys = "):
        packed(source(many), tmp_path / "out")


def test_a_folder_of_others_is_refused(many: Path, source: Find, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty, and has no"):
        packed(source(many), tmp_path / "out")
    assert sorted(digests(tmp_path / "out")) == ["thesis.txt"]


def test_a_damaged_journal_is_refused(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    (tmp_path / "out/pack.jsonl").write_text('{"format": 1}\n{"shard": 1}\n')
    with pytest.raises(DataError, match="is damaged"):
        packed(source(many), tmp_path / "out")


def test_two_commands_at_once_are_refused(many: Path, source: Find, tmp_path: Path) -> None:
    packed(source(many), tmp_path / "out")
    script = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); print('held'); input()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out/pack.jsonl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(DataError, match="is being written by another process"):
            packed(source(many), tmp_path / "out")
        other.communicate("\n")
    assert packed(source(many), tmp_path / "out").before == 5


def test_a_full_disk_leaves_no_half_shard(many: Path, source: Find, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, before[1]))
    try:
        with pytest.raises(DataError, match=r"00000\.tar cannot be written: File too large"):
            packed(source(many), tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(digests(tmp_path / "out")) == ["pack.jsonl", "skipped.jsonl"]
    assert packed(source(many), tmp_path / "out").written == 21


def test_a_source_of_only_bad_samples_is_an_error(write: Write, source: Find, tmp_path: Path) -> None:
    path = write({"key": "a", "format": "broken"}, {"key": "b", "texts": []})
    with pytest.raises(DataError, match="none of the 2 samples can be used; a: not a JPEG"):
        packed(source(path), tmp_path / "out")
    with pytest.raises(DataError, match="there are no samples"):
        packed(source(write(name="empty.toy")), tmp_path / "empty")


@pytest.mark.parametrize(
    "pattern", ["a.tar", "{}.zip", "{}/{}.tar", "a/{}.tar", "{}{0}.tar", "a\n{}.tar", "{1,2}{}.tar"]
)
def test_names_that_cannot_be_shards(pattern: str) -> None:
    with pytest.raises(RecipeError, match="--name"):
        check_pattern(pattern)


def test_secrets_of_urls_are_not_written_down() -> None:
    from mmx_data.plan import _hidden

    hidden = _hidden({"urls": ["https://user:pass@host/a.tar?X-Signature=secret"], "n": 1})
    assert hidden == {"urls": ["https://host/a.tar"], "n": 1}
