"""Pairs in tables, and every way in which a table can be wrong."""

import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from pydantic import ValidationError

from mmx.data.stored import measured
from mmx.errors import DataError, RecipeError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.config_rows import TableConfig
from mmx_pairs.source import Source
from mmx_pairs.table import Table
from mmx_storage.files import Files

Write = Callable[[Mapping[str, bytes | str]], Path]
Picture = Callable[[int], bytes]


def table(*urls: Path | str, **options: Any) -> Table:
    return Table(TableConfig.model_validate({"name": "table", "urls": [str(url) for url in urls], **options}))


def texts(dataset: Table) -> list[tuple[str, ...] | str]:
    """Return the captions of all samples, or why one is bad."""
    found: list[tuple[str, ...] | str] = []
    for index in range(len(dataset)):
        try:
            found.append(dataset.raw(index).texts)
        except BadSampleError as error:
            found.append(str(error))
    return found


@pytest.fixture
def pictures(write: Write, picture: Picture) -> Path:
    return write({f"{number}.png": picture(number) for number in range(4)})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", 'filepath,title,n\n0.png,"a, ""b""\nc",1\n1.png,two,\n'),
        ("t.tsv", 'filepath\ttitle\tn\r\n0.png\t"a, ""b""\nc"\t1\r\n\r\n1.png\ttwo\t\r\n'),
        ("t.csv", b"\xef\xbb\xbf" + b'"filepath",title,n\n0.png,"a, ""b""\nc",1\n1.png,two,'),
        (
            "t.jsonl",
            '{"filepath": "0.png", "title": "a, \\"b\\"\\nc", "n": 1}\n\n{"filepath": "1.png", "title": "two"}',
        ),
    ],
)
def test_rows_are_samples(name: str, content: bytes | str, pictures: Path, write: Write, picture: Picture) -> None:
    dataset = table(write({name: content}) / name)
    assert len(dataset) == 2 and [dataset.key(index) for index in range(2)] == ["000000", "000001"]
    assert [dataset.read(index).texts for index in range(2)] == [('a, "b"\nc',), ("two",)]
    assert [dataset.raw(index).image for index in range(2)] == [picture(0), picture(1)]
    assert dataset.raw(0).fields == {"n": 1}
    again = pickle.loads(pickle.dumps(dataset))
    assert again.read(1).texts == ("two",)
    with pytest.raises(IndexError):
        dataset.read(2)


def test_captions_that_are_lists(pictures: Path, write: Write) -> None:
    path = write(
        {"t.jsonl": '{"image": "0.png", "caption": ["a", " b "]}\n{"image": "1.png", "caption": "[\\"a\\"]"}\n'}
    )
    assert texts(table(path / "t.jsonl")) == [("a", "b"), ('["a"]',)]


def test_several_tables(pictures: Path, write: Write) -> None:
    path = write({f"{name}.csv": f"path,text\n0.png,{name}\n" for name in "ab"})
    (path / "a").mkdir()
    dataset = table(path / "{a,b}.csv")
    assert [dataset.key(index) for index in range(2)] == ["a/000000", "b/000000"]
    assert texts(dataset) == [("a",), ("b",)]
    assert list(dataset.runs()) == [1, 1]
    write({"a/a.csv": "path,text\n../0.png,c\n"})
    twice = table(path / "a.csv", path / "a/a.csv", root=str(path))
    assert len({twice.key(index) for index in range(2)}) == 2


def test_ragged_rows_and_quotes_are_bad_by_line_and_shift_nothing(pictures: Path, write: Write) -> None:
    lines = ["path,text", "0.png,one", "1.png", "2.png,a,b", '3.png,"open', '0.png,"x" y', "1.png,last"]
    path = write({"t.csv": "\n".join(lines) + "\n"}) / "t.csv"
    found = texts(table(path))
    assert found[0] == ("one",) and found[-1] == ("last",)
    assert found[1] == f"000001: line 3 of {path} has 1 columns, not 2"
    assert found[2] == f"000002: line 4 of {path} has 3 columns, not 2"
    assert found[3] == f"000003: line 5 of {path} has a quote that is not closed where its column ends"
    assert found[4] == f"000004: line 6 of {path} has a quote that is not closed where its column ends"
    assert texts(table(path, quotes=False))[3:5] == [('"open',), ('"x" y',)]


def test_line_breaks_in_quotes_move_no_row(pictures: Path, write: Write) -> None:
    content = 'path,text\n0.png,"two\nlines"\n1.png,one\n2.png\n'
    path = write({"t.csv": content}) / "t.csv"
    naive = [line.split(",") for line in content.splitlines()[1:]]
    assert naive[1] == ['lines"'], "who splits at line breaks takes half a caption for a row"
    assert texts(table(path)) == [("two\nlines",), ("one",), f"000002: line 5 of {path} has 1 columns, not 2"]


def test_a_huge_column_is_read_and_a_huge_caption_refused(pictures: Path, write: Write) -> None:
    path = write({"t.csv": f'path,text,more\n0.png,one,"{"x" * 300_000}"\n1.png,"{"y" * (2**20 + 1)}",\n2.png,last,\n'})
    dataset = table(path / "t.csv")
    assert len(dataset.raw(0).fields["more"]) == 300_000
    large = f"000001: the caption has 1048577 bytes, more than 1048576 (line 3 of {path}/t.csv)"
    assert texts(dataset)[1:] == [large, ("last",)]


def test_a_bad_sample_names_its_picture_and_line(pictures: Path, write: Write) -> None:
    path = write({"t.csv": "path,text\n0.png,one\ntorn.png,two\ngone.png,three\n1.png,\n", "torn.png": b"torn"})
    dataset = table(path / "t.csv")
    for index, told in (
        (1, "not a JPEG, PNG, WEBP or GIF picture: .* \\(torn.png, line 3 of .*t.csv\\)"),
        (2, "the picture gone.png does not exist .* \\(line 4 of .*t.csv\\)"),
        (3, "the caption is empty \\(line 5 of .*t.csv\\)"),
    ):
        with pytest.raises(BadSampleError, match=f"^00000{index}: {told}$"):
            dataset.read(index)


def test_a_picture_inside_a_url_is_refused_in_few_words(write: Write) -> None:
    path = write({"t.csv": f'path,text\n"data:image/png;base64,{"A" * 100_000}",one\n'})
    with pytest.raises(BadSampleError, match=r"image/png;base64,AAA.* \(100,02\d characters\) is not read") as caught:
        table(path / "t.csv").raw(0)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_an_error_that_names_the_line(encoding: str, pictures: Path, write: Write) -> None:
    path = write({"t.csv": "path,text\n0.png,one\n1.png,café\n".encode(encoding)})
    line = {"latin-1": 3, "utf-16": 1}[encoding]
    with pytest.raises(DataError, match=rf"t\.csv: line {line} is not UTF-8; save the table as UTF-8"):
        len(table(path / "t.csv"))


def test_bad_lines_of_jsonl_are_bad_samples(pictures: Path, write: Write) -> None:
    good = b'{"path": "0.png", "text": "one"}\n'
    path = write(
        {"t.jsonl": good + b"\n{\n[1]\n" + b'{"path": "0.png", "text": "caf\xe9"}\n' + b"[" * 99_999 + b"\n" + good}
    )
    found = texts(table(path / "t.jsonl"))
    assert found[0] == found[-1] == ("one",)
    for why, number in (("line 3", 1), ("line 4", 2), ("line 5", 3), ("line 6", 4)):
        assert isinstance(reason := found[number], str) and why in reason
    assert "not UTF-8 (byte 30 of the line)" in str(found[3])


def test_more_tables_than_files_may_be_open(pictures: Path, write: Write) -> None:
    path = write({f"{number}.csv": f"path,text\n0.png,{number}\n" for number in range(300)})
    dataset, before = table(*(path / f"{number}.csv" for number in range(300))), len(os.listdir("/proc/self/fd"))
    assert [dataset.raw(number).texts for number in range(300)] == [(str(number),) for number in range(300)]
    assert len(os.listdir("/proc/self/fd")) - before < 150


def test_numbers_that_come_late_in_jsonl_are_found(pictures: Path, write: Write) -> None:
    row = '{"path": "0.png", "text": "one"}\n'
    dataset = table(write({"t.jsonl": row * 1001 + '{"path": "0.png", "text": "one", "score": 0.5}\n'}) / "t.jsonl")
    assert dataset.raw(1001).fields == {"score": 0.5}
    assert dataset.columns(["score"])["score"][-1] == 0.5 and np.isnan(dataset.columns(["score"])["score"][0])


def test_numbers_are_those_of_the_fields(pictures: Path, write: Write) -> None:
    cells = ["0.5", "7", "true", '"7"', "null", "1e999", "NaN", str(2**1022), str(2**1023), "9" * 400, "[1]", "-1e307"]
    rows = [f'{{"path": "0.png", "text": "one", "n": {cell}, "id": {at}}}\n' for at, cell in enumerate(cells)]
    dataset = table(write({"t.jsonl": "".join(rows)}) / "t.jsonl", key="id")
    measures = [measured(dataset.raw(index)) for index in range(len(dataset))]
    for name in ("n", "id"):
        expected = [numbers.get(name, np.nan) for numbers in measures]
        np.testing.assert_array_equal(dataset.columns([name])[name], expected)
    assert np.isfinite(dataset.columns(["n"])["n"]).sum() == 4
    for name in ("path", "text"):
        with pytest.raises(RecipeError, match=rf"no sample has the number '{name}' \(numbers there are: id, n\)"):
            dataset.columns([name])


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_table_that_is_replaced_is_not_read_where_its_rows_were(name: str, pictures: Path, write: Write) -> None:
    head, row = ("path,text\n", "0.png,{}\n") if name == "t.csv" else ("", '{{"path": "0.png", "text": "{}"}}\n')
    path = write({name: head + row.format("a cat") + row.format("a dog")}) / name
    dataset = table(path)
    assert len(dataset) == 2
    sent = pickle.dumps(dataset)
    assert pickle.loads(sent).raw(1).texts == ("a dog",), "the same table is read"
    write({name: head + row.format("bird.") + row.format("mouse")})
    os.utime(path, ns=(0, 0))
    with pytest.raises(DataError, match=rf"table .*{name} was changed after its rows were counted; .* start again"):
        pickle.loads(sent).raw(1)
    again = pickle.loads(sent)
    vars(again.parts[0][1])["source"] = Source(Files([str(path)]))
    assert again.raw(1).texts == ("mouse",), "who does not look takes what is there now for the sample"


def test_a_file_without_lines_is_refused_early(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmx_pairs.jsonl.LONGEST", 2**20)
    monkeypatch.setattr("mmx_pairs.delimited.LONGEST", 2**20)
    monkeypatch.setattr("mmx_pairs.source.BLOCK", 2**18)
    rows = '{"path": "0.png", "text": "one"}, ' * 60_000
    with pytest.raises(DataError, match=r"line 2 is longer than 1048576 bytes; expected one JSON object a line"):
        len(table(write({"t.jsonl": f"{{}}\n[{rows}]"}) / "t.jsonl"))
    with pytest.raises(DataError, match=r"line 1 is longer than 1048576 bytes; expected lines that end with LF"):
        len(table(write({"t.csv": "path,text\r" + "0.png,one\r" * 200_000}) / "t.csv"))


@pytest.mark.parametrize(
    ("header", "options", "why"),
    [
        ("path\ttext", {}, r"has one column only, 'path.text': set separator to .*, such as \"\\t\""),
        ("a,b", {}, r"which column holds the pictures is not clear; set image to one of its columns: 'a', 'b'"),
        ("path,url,text", {}, r"which of 'path', 'url' holds the pictures is not clear; set image"),
        ("path,caption,text", {}, r"which of 'caption', 'text' holds the captions is not clear; set caption"),
        ("path,text", {"image": "img"}, r"has no column 'img', which image names \(it has: 'path', 'text'\)"),
        ("path,text", {"key": "id"}, r"has no column 'id', which key names"),
        ("path,text,text", {}, r"has two columns 'text'"),
    ],
)
def test_columns_that_are_not_clear(header: str, options: dict[str, str], why: str, write: Write) -> None:
    path = write({"t.csv": f"{header}\n{header}\n"})
    with pytest.raises(DataError, match=why):
        len(table(path / "t.csv", **options))


def test_columns_are_chosen_whatever_their_case(pictures: Path, write: Write) -> None:
    path = write({"t.csv": "URL,x,TEXT\n0.png,1,one\n"})
    assert texts(table(path / "t.csv")) == [("one",)]
    both = write({"u.csv": "path,url,caption,text\n0.png,x,a,b\n"}) / "u.csv"
    assert texts(table(both, image="path", caption="text")) == [("b",)]


def test_keys_from_a_column(pictures: Path, write: Write) -> None:
    path = write({"t.csv": "path,text,id\n0.png,one,k1\n1.png,two,\n1.png\n", "u.csv": "path,text,id\n\n0.png,a,k1\n"})
    dataset = table(path / "t.csv", key="id")
    assert [dataset.key(index) for index in range(3)] == ["k1", "000001", "000002"]
    assert dataset.read(0).key == "k1"
    with pytest.raises(DataError, match=r"the key 'k1': line 2 of .*t\.csv and line 3 of .*u\.csv"):
        len(table(path / "t.csv", path / "u.csv", key="id"))


def test_empty_tables(write: Write) -> None:
    path = write({"a.csv": "", "b.csv": "path,text\n", "c.jsonl": "\n"})
    with pytest.raises(DataError, match="is empty; expected names of columns"):
        len(table(path / "a.csv"))
    with pytest.raises(DataError, match="have no rows"):
        len(table(path / "b.csv"))
    with pytest.raises(DataError, match="which column holds the pictures"):
        len(table(path / "c.jsonl"))


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("../out/secret.png", "lies out of the folder"),
        ("/etc/passwd", "lies out of the folder"),
        ("file:///etc/passwd", "lies out of the folder"),
        ("link.png", "is a link that leads out of the folder"),
        ("pipe:cat /etc/passwd", "is not read: expected a path, or a URL"),
        ("ssh://host/x.png", "is not read"),
        ("simplecache::https://host/x.png", "is not read"),
        ("http://a::file:///etc/passwd", "is not read"),
        ("", "has no picture"),
        ("gone.png", "does not exist"),
        ("memory://nothing.png", "the picture cannot be had"),
    ],
)
def test_pictures_that_a_table_must_not_name(
    cell: str, why: str, pictures: Path, write: Write, picture: Picture, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.png").write_bytes(picture(9))
    (pictures / "link.png").symlink_to(tmp_path / "out" / "secret.png")
    if "out" in cell or "link" in cell:
        assert (pictures / cell).read_bytes() == picture(9), "a reader that opens what it is told leaves the folder"
    dataset = table(write({"t.tsv": f"path\ttext\n{cell}\tone\n"}) / "t.tsv")
    with pytest.raises(BadSampleError, match=why):
        dataset.read(0)


def test_absolute_paths_that_lie_in_the_folder(pictures: Path, write: Write, picture: Picture, tmp_path: Path) -> None:
    rows = f"path\ttext\n{pictures}/1.png\tone\nfile://{pictures}/2.png\ttwo\nx/../3.png\tthree\n"
    (pictures / "x").mkdir()
    (elsewhere := tmp_path / "t.tsv").write_text(rows)
    assert [table(elsewhere, root=str(pictures)).raw(number).image for number in range(3)] == [
        picture(n) for n in (1, 2, 3)
    ]


def test_numbers_of_columns_without_opening_pictures(write: Write) -> None:
    path = write({"t.csv": 'path,text,score,word\ngone.png,one,0.5,x\ngone.png\ngone.png,three,"1e-1",7\n'})
    dataset = table(path / "t.csv")
    assert dataset.columns(["score", "word"])["score"].tolist()[::2] == [0.5, 0.1]
    assert np.isnan(dataset.columns(["score"])["score"][1])
    assert dataset.columns(["word"])["word"].tolist()[2] == 7
    with pytest.raises(RecipeError, match=r"no sample has the number 'scor' \(numbers there are: score\)"):
        dataset.columns(["scor"])


def test_sides_are_read_from_pictures(pictures: Path, write: Write) -> None:
    found = table(write({"t.csv": "path,text,score\n0.png,one,3\ngone.png,two,4\n"}) / "t.csv").columns(
        ["width", "score"]
    )
    assert found["width"].tolist()[0] == 4 and np.isnan(found["width"][1])


def test_a_table_and_pictures_at_urls(picture: Picture) -> None:
    system = fsspec.filesystem("memory")
    system.pipe(
        {"/t/a.csv": b"url,text\np/1.png,one\nmemory://t/p/1.png,two\n../x.png,three\n/t/p/1.png,four\nfile:///x,5\n"}
    )
    system.pipe({"/t/p/1.png": picture(1)})
    try:
        dataset = table("memory://t/a.csv")
        assert dataset.raw(0).image == dataset.raw(1).image == picture(1)
        found = texts(dataset)
        assert found[:2] == [("one",), ("two",)]
        assert all("lies out of the folder memory://t" in str(reason) for reason in found[2:])
    finally:
        system.rm("/t", recursive=True)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"urls": ["t.txt"]}, "set format to csv, tsv, jsonl or parquet"),
        ({"urls": ["t.csv.gz"]}, "compressed tables must be unpacked first"),
        ({"urls": ["pipe:cat t.csv"]}, "cannot be read"),
        ({"urls": ["t.csv"], "separator": '"'}, "pattern"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TableConfig.model_validate({"name": "table", **options})


def test_a_table_is_recognised_and_missed(tmp_path: Path) -> None:
    assert TableConfig.at("table", "s3://bucket/part-{0..3}.PARQUET?x=1") is not None
    assert TableConfig.at("table", "a.tar") is None
    assert "gone.csv does not exist" in TableConfig(name="table", urls=(str(tmp_path / "gone.csv"),)).absent()
