"""What becomes of every kind of stored caption."""

import json
import time
import tracemalloc

import pytest

from mmx.data.captions import LARGEST, kept, texts_from, texts_of
from mmx.parts.dataset import BadSampleError


@pytest.mark.parametrize(
    ("data", "option", "texts"),
    [
        (b" a cat \n", "txt", ("a cat",)),
        (b"\xef\xbb\xbfa cat", "txt", ("a cat",)),
        ("Grüße 猫".encode(), "txt", ("Grüße 猫",)),
        ("\u202eright to left \x1b[31mred\x1b[0m".encode(), "txt", ("\u202eright to left \x1b[31mred\x1b[0m",)),
        (b"two\nlines", "txt", ("two\nlines",)),
        (b'{"caption": "a cat"}', "json:caption", ("a cat",)),
        (b'\xef\xbb\xbf{"caption": ["a cat", " ", "a pet"]}', "json:caption", ("a cat", "a pet")),
        (b'{"a:b": "a cat"}', "json:a:b", ("a cat",)),
    ],
)
def test_captions_that_are_read(data: bytes, option: str, texts: tuple[str, ...]) -> None:
    assert texts_from(data, "0/1", option) == texts


@pytest.mark.parametrize(
    ("data", "option", "why"),
    [
        (b"", "txt", "the caption is empty"),
        (" \n\t\u3000".encode(), "txt", "the caption is empty"),
        (b"a\0cat", "txt", "the caption has a NUL byte (byte 1)"),
        ("caf\xe9 au lait".encode("latin-1"), "txt", "the caption is not UTF-8 (byte 3)"),
        ("a cat".encode("utf-16"), "txt", "the caption is not UTF-8 (byte 0)"),
        ("a cat".encode("utf-16-le"), "txt", "the caption has a NUL byte (byte 1)"),
        (b"a cat", "json:caption", "the caption is not JSON: "),
        (b"[" * 100_000, "json:caption", "the caption is not JSON: "),
        (b'["a cat"]', "json:caption", "the JSON is no object with fields"),
        (b'{"text": "a cat"}', "json:caption", "the JSON has no field 'caption'"),
        (b'{"caption": 7}', "json:caption", "the field 'caption' is neither a text nor a list of texts"),
        (b'{"caption": null}', "json:caption", "the field 'caption' is neither"),
        (b'{"caption": {"en": "a cat"}}', "json:caption", "the field 'caption' is neither"),
        (b'{"caption": [["a cat"]]}', "json:caption", "the field 'caption' is neither"),
        (b'{"caption": []}', "json:caption", "the caption is empty"),
        (b'{"caption": "a\\u0000cat"}', "json:caption", "the caption has a NUL character"),
        (b'{"caption": "a \\ud83d cat"}', "json:caption", "the caption has half a character"),
    ],
)
def test_captions_that_are_refused(data: bytes, option: str, why: str) -> None:
    with pytest.raises(BadSampleError) as caught:
        texts_from(data, "0/1", option)
    assert str(caught.value).startswith(f"0/1: {why}")


def test_a_caption_of_ten_megabytes_costs_neither_time_nor_memory() -> None:
    data = b"word " * 2_000_000
    tracemalloc.start()
    before = time.process_time()
    with pytest.raises(BadSampleError, match=f"the caption has 10000000 bytes, more than {LARGEST}"):
        texts_from(data, "0/1", "txt")
    seconds, (_, peak) = time.process_time() - before, tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    naive = data.decode("utf-8-sig").strip()
    _, control = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 0.1 and peak < 2**20
    assert len(naive) > LARGEST and control > 2**20, "reading it all takes what this one does not"


def test_fields_that_are_there_are_named_but_not_what_a_terminal_would_obey() -> None:
    data = json.dumps(
        {"captions": ["a"], "\x1b[2J": 1, "x" * 99: 2} | {f"k{number:02}": 0 for number in range(20)}
    ).encode()
    with pytest.raises(BadSampleError, match=r"no field 'captoins' \(there are: captions, k00, .*, k08, \.\.\.\)$"):
        texts_from(data, "0/1", "json:captoins")


def test_a_million_words() -> None:
    assert texts_from(b"a" + b" " * (LARGEST - 2) + b"b", "0/1", "txt")[0].split() == ["a", "b"]
    with pytest.raises(BadSampleError, match=r"has 2000000 bytes, more than"):
        texts_from(b"a " * 1_000_000, "0/1", "txt")
    (text,) = texts_from(json.dumps({"caption": "a " * 500_000}).encode(), "0/1", "json:caption")
    assert len(text.split()) == 500_000


def test_texts_that_come_from_elsewhere_have_the_same_limits() -> None:
    assert texts_of(["a", " b "], "7", "caption") == ("a", "b")
    with pytest.raises(BadSampleError, match=r"^7: the caption has 1048577 bytes, more than 1048576$"):
        kept(["a" * (LARGEST + 1)], "7")


def test_captions_are_measured_in_bytes_wherever_they_are_stored() -> None:
    with pytest.raises(BadSampleError, match=r"^7: the caption has 1200000 bytes, more than 1048576$"):
        texts_of("\u4e2d" * 400_000, "7", "caption")
    assert texts_of("x" * 1_048_576, "7", "caption") == ("x" * 1_048_576,)
