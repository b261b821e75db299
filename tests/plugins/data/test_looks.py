"""What inspect, stats and split find in a dataset."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mmx.errors import DataError, RecipeError
from mmx_data.inspect import Inspection, inspect, plain
from mmx_data.page import page
from mmx_data.plan import spread
from mmx_data.progress import Progress
from mmx_data.source import Source
from mmx_data.split import By, assigned, read_parts
from mmx_data.stats import Statistics, kind_of, statistics
from mmx_data.stats_text import statistics_lines
from mmx_data.text import inspection_lines
from mmx_data.tokens import ruler

Find = Callable[..., Source]
Write = Callable[..., Path]
EVIL = "<script>alert(1)</script> \x1b[31mred \u202eright to left \"quoted\" & 'so'"


def looked(source: Source, most: int = 1000, shown: int = 3) -> Inspection:
    return inspect(source, source.build(), most, shown, ruler("clip", source.registries), 1, Progress())


def counted(source: Source, workers: int = 1) -> Statistics:
    return statistics(source, source.build(), workers, Progress())


def test_inspect_sums_up(many: Path, source: Find) -> None:
    found = looked(source(many))
    assert (found.samples, found.looked_at, found.first_key, found.last_key) == (23, 23, "000", "022")
    assert found.formats == {"PNG": 6, "WEBP": 6, "JPEG": 5, "GIF": 4}
    assert found.shorter is not None and (found.shorter.min, found.shorter.max) == (20, 30)
    assert found.longer is not None and (found.longer.min, found.longer.max) == (30, 42)
    assert found.per_picture is not None and (found.per_picture.min, found.per_picture.max) == (1, 2)
    score = found.fields["score"].range
    assert score is not None and (score.min, score.max) == (0, 2.2)
    assert found.fields["url"].kind == "str" and found.fields["url"].samples == 21
    assert [bad.key for bad in found.bad] == ["005", "011"]
    assert [one.key for one in found.shown] == ["000", "012", "022"] and plain(found)["samples"] == 23


def test_it_says_how_many_were_looked_at(many: Path, source: Find) -> None:
    text = "\n".join(inspection_lines(looked(source(many), most=7)))
    assert "7 of them, evenly spread" in text and "[data.train]" in text
    assert spread(23, 7) == [0, 3, 7, 11, 14, 18, 22] and spread(3, 7) == [0, 1, 2] and spread(9, 1) == [0]


def test_captions_that_the_tokenizer_cuts_are_counted(write: Write, source: Find) -> None:
    exact, longer = "cat " * 75, "cat " * 76
    found = looked(source(write(*({"key": str(at), "texts": [text]} for at, text in enumerate([exact, longer, "a"])))))
    assert found.tokens is not None and (found.tokens.truncated, found.tokens.context) == (1, 77)
    assert (found.tokens.lengths.min, found.tokens.lengths.max) == (3, 78)
    assert "1 of 3 captions (33.3 %) at 77 tokens" in "\n".join(inspection_lines(found))


def test_a_tokenizer_that_is_not_there(write: Write, source: Find) -> None:
    with pytest.raises(RecipeError, match=r"--tokenizer clap: .*did you mean 'clip'"):
        ruler("clap", source(write({"key": "a"})).registries)


def test_nothing_reaches_the_terminal_raw(write: Write, source: Find) -> None:
    row = {"key": f"k{EVIL}", "texts": [EVIL], "fields": {f"f{EVIL}": EVIL}}
    broken = {"key": f"bad{EVIL}", "format": "broken"}
    found = source(write(row, broken, {"key": "long" * 60, "texts": ["x" * 500]}))
    for lines in (inspection_lines(looked(found)), statistics_lines(counted(found))):
        rows = "\n".join(lines).splitlines()
        assert all(row.isprintable() for row in rows)
        assert max(len(row) for row in rows if '"' not in row) <= 80


def test_the_page_escapes_all(write: Write, source: Find) -> None:
    found = source(
        write(
            {"key": f"k{EVIL}", "texts": [EVIL, "\u0633\u200c\u0647"], "fields": {f"f{EVIL}": EVIL}},
            {"key": EVIL, "format": "broken"},
        )
    )
    html = page(EVIL, looked(found), found.build(), found.largest)
    assert "<script" not in html and "\x1b" not in html and "\u202e" not in html
    assert html.count("&lt;script&gt;") >= 6 and "\u0633\u200c\u0647" in html
    assert len(re.findall(r'src="data:image/webp;base64,', html)) == 1
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "default-src 'none'" in html


def test_an_empty_dataset_is_an_error(write: Write, source: Find) -> None:
    found = source(write(name="empty.toy"))
    for look in (looked, counted):
        with pytest.raises(DataError, match="there are no samples"):
            look(found)


def test_a_dataset_of_bad_samples_is_told(write: Write, source: Find) -> None:
    found = source(write({"key": "a", "format": "broken"}))
    assert "1 of these (100.0 %)" in "\n".join(inspection_lines(looked(found)))
    assert "1 (100.0 %)" in "\n".join(statistics_lines(counted(found)))
    assert "Bad samples" in page("x", looked(found), found.build(), found.largest)


def test_stats_count_every_sample(many: Path, source: Find) -> None:
    found = counted(source(many))
    tally = found.tally
    assert (tally.samples, tally.good, sum(tally.bad.values()), tally.captions) == (23, 21, 2, 29)
    assert sum(tally.shorter.values()) == sum(tally.aspect.values()) == 21 == sum(tally.per_picture.values())
    assert sum(tally.characters.values()) == 29
    assert set(tally.bad) == {"has no caption", kind_of(next(reason for reason in tally.bad if "JPEG" in reason))}
    assert all(repeated.extra == 0 for repeated in found.repeated.values())


def test_stats_find_what_is_there_twice(write: Write, source: Find) -> None:
    rows = [
        {"key": "a"},
        {"key": "b", "colour": [1, 2, 3]},
        {"key": "a", "texts": ["other"]},
        {"key": "c", "size": [9, 9]},
    ]
    found = counted(source(write(*rows)))
    assert {name: repeated.extra for name, repeated in found.repeated.items()} == {
        "keys": 1,
        "pictures": 1,
        "captions": 2,
    }
    assert found.repeated["captions"].examples == [("a", "b"), ("b", "c")]


def test_stats_are_the_same_with_more_processes(many: Path, source: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmx_data.stats.ALONE", 0.0)
    monkeypatch.setattr("mmx_data.stats.CHUNK", 4)
    assert counted(source(many), workers=2) == counted(source(many))


def test_reasons_that_differ_in_numbers_only_are_one() -> None:
    assert kind_of("cut short (12 of 34 bytes): b'a\\'b'") == "cut short (N of N bytes): ..."
    assert kind_of("the caption is not UTF-8 (byte 3)") == "the caption is not UTF-8"
    assert kind_of("has 3 bytes (looked in /a) (x.png, line 3 of t.csv)") == "has N bytes"


def test_only_the_most_frequent_reasons_are_shown(write: Write, source: Find) -> None:
    rows = [{"key": f"{at}", "texts": [], "why": "!" * at} for at in range(14)]
    lines = list(statistics_lines(counted(source(write({"key": "good"}, *rows)))))
    assert sum("1: has no caption" in line for line in lines) == 10 and lines[-1] == "  and 4 reasons more"


@pytest.mark.parametrize("by", ["key", "picture", "caption"])
def test_equal_samples_are_in_one_part(by: By, write: Write, source: Find) -> None:
    rows = [
        {"key": f"{at:03d}", "colour": [at % 40, 1, 2], "texts": [f"thing {at % 40}"], "size": [9, 9]}
        for at in range(120)
    ]
    dataset = source(write(*rows)).build()
    parts = assigned(dataset, {"train": 0.7, "val": 0.3}, by, 0, 1, Progress())
    assert [part.pattern for part in parts] == ["train-{}.tar", "val-{}.tar"]
    assert sorted([*parts[0].indices, *parts[1].indices]) == list(range(120))
    assert 60 < len(parts[0].indices) < 110
    sides = [{at % 40 for at in part.indices} for part in parts]
    assert bool(sides[0] & sides[1]) == (by == "key")
    other = assigned(dataset, {"train": 0.7, "val": 0.3}, by, 1, 1, Progress())
    assert list(other[0].indices) != list(parts[0].indices)


def test_a_sample_stays_where_it_is_when_others_come(write: Write, source: Find) -> None:
    rows = [{"key": f"{at:03d}"} for at in range(60)]
    few = assigned(source(write(*rows[::2])).build(), {"a": 0.5, "b": 0.5}, "key", 0, 1, Progress())
    all_ = assigned(source(write(*rows)).build(), {"a": 0.5, "b": 0.5}, "key", 0, 1, Progress())
    assert {2 * at for at in few[0].indices} == {at for at in all_[0].indices if at % 2 == 0}


@pytest.mark.parametrize(
    "text", ["", "train", "train=0.5", "a=0.5,a=0.5", "a=1.5,b=-0.5", "a/b=1", "a=x,b=1", "a=nan,b=1"]
)
def test_parts_that_cannot_be(text: str) -> None:
    with pytest.raises(RecipeError, match="--parts"):
        read_parts(text)
    assert read_parts("train=0.98, val=0.02") == {"train": 0.98, "val": 0.02}
