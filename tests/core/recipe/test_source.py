"""Files that are no recipe, and texts that were made to do harm."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mmx.errors import RecipeError
from mmx.recipe.source import KeyPath, dotted, lines, parse, quote, read_text
from throwaway import Load, Write

TEXT = """\
# comment
top = 1
a.b . "c d" = [1, { x = 1, y.z = [2] },
  3]
[q."r s".t]
k = 'v'  # comment
[[items]]
n = 1
[[items]]
n = 2
  [items.inner]
  m = 3
[[items.list]]
o = 4
[[items.list]]
o = 5
"""


def test_every_key_has_its_line() -> None:
    found = lines(TEXT)
    for path, line in {
        ("top",): 2,
        ("a",): 3,
        ("a", "b", "c d"): 3,
        ("a", "b", "c d", 1, "y", "z", 0): 3,
        ("a", "b", "c d", 2): 4,
        ("q", "r s", "t", "k"): 6,
        ("items", 0, "n"): 8,
        ("items", 1): 9,
        ("items", 1, "n"): 10,
        ("items", 1, "inner", "m"): 12,
        ("items", 1, "list", 1, "o"): 16,
    }.items():
        assert found[path] == line, path


def test_no_key_is_left_out() -> None:
    assert set(_paths(tomllib.loads(TEXT), ())) <= set(lines(TEXT))


@pytest.mark.parametrize("key", ["a", 'a"b', "a b", "a\\b", "ä", "a\x1bb", "", "a.b", "\U0001f600", "\x7f"])
def test_quoted_keys_read_back_and_are_safe_to_print(key: str) -> None:
    assert tomllib.loads(f"{dotted((key,))} = {quote(key)}") == {key: key}
    assert dotted((key,)).isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \n", "r.toml:1:5: not valid TOML: invalid value\n    a =\n        ^"),
        ("x = 1\na b\n", "r.toml:2:3: not valid TOML: expected '=' after a key in a key/value pair\n    a b\n      ^"),
        ("a = 1\na = 2\n", "r.toml:2:6: not valid TOML: cannot overwrite a value"),
        ("a = 01\n", "r.toml:1:6: not valid TOML: expected newline or end of document after a statement"),
        ('a = "x', "r.toml:1:1: not valid TOML: unterminated string"),
        ("[a\n", "r.toml:1:3: not valid TOML: expected ']' at the end of a table declaration"),
        ("a.b = 1\n[a]\n", "r.toml:2:3: not valid TOML: cannot declare ('a',) twice"),
    ],
)
def test_syntax_errors_have_line_and_column(text: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text, "r.toml")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 40_000) + " = 1",
        " . ".join(['"a"'] * 40_000) + " = 1",
        ".".join(["a"] * 40_000),
        "[" + ".".join(["'a'"] * 40_000) + "]",
        "a = { " + ".".join(["a"] * 40_000) + " = 1 }",
        ".".join(["a"] * 101) + " = 1",
        "a = " + "[" * 30_000 + "]" * 30_000,
        "a = " + "[" * 30_000,
        "a = " + "{ a = " * 5_000 + "1" + " }" * 5_000,
        "a = " + "[" * 101 + "]" * 101,
    ],
    ids=range(10),
)
@pytest.mark.timeout(20)
def test_deep_texts_are_refused_at_once(text: str, write: Write, read: Load) -> None:
    with pytest.raises(RecipeError) as caught:
        read(write(text=text))
    assert "100" in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["a" * 900_000, "a." * 50 + "\n", "a-" * 400_000 + "=1", '"a' * 300_000, "a = [\n" + "1,\n" * 300_000]
)
def test_large_texts_are_refused_in_good_time(text: str, write: Write, read: Load) -> None:
    with pytest.raises(RecipeError) as caught:
        read(write(text=text))
    assert len(str(caught.value)) < 1_000_000


@pytest.mark.timeout(60)
def test_many_keys(write: Write, read: Load) -> None:
    with pytest.raises(RecipeError, match=r"r\.toml: \.\.\.: 29,9.. more problems"):
        read(write(text="\n".join(f"k{number} = 1" for number in range(30_000))))


def test_files_that_are_too_large(write: Write, read: Load) -> None:
    with pytest.raises(RecipeError, match="is larger than 1 MB"):
        read(write(text="# " + "x" * 1_000_000))


def test_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(RecipeError, match=r"r.toml:2: is not UTF-8 text \(byte 0xff\); save it as UTF-8"):
        read_text(path, "r.toml")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert parse(read_text(path, "r.toml"), "r.toml") == {"a": 1}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(RecipeError, match="is not a file"):
        read_text(tmp_path / "pipe.toml", "pipe.toml")


def _paths(value: Any, path: KeyPath) -> list[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in ((*path, key), *_paths(item, (*path, key)))]
