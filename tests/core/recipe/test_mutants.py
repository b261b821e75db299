"""Recipes that were damaged at random: they hold, or are refused in words; nothing else ever happens."""

import random
from collections import Counter

import pytest

import throwaway
from mmx.errors import MmxError
from mmx.recipe.describe import options
from mmx.recipe.manual import TABLES
from mmx.recipe.write import to_toml
from throwaway import Load, Write

VALUES = [
    "nan",
    "-inf",
    "true",
    '"10"',
    "1e3",
    "[]",
    "{}",
    "10",
    "-1",
    "0",
    "1e308",
    "9" * 400,
    "1979-05-27",
    '"\\u0000"',
    "[[1]]",
]
PIECES = [
    "=",
    "[",
    "]",
    '"',
    "'",
    ".",
    "\n",
    "#",
    "{",
    "}",
    ",",
    "\\",
    "\x00",
    "é",
    "[[a]]\n",
    "[data]\n",
    " = 1\n",
    '"""',
]


def damage(text: str, rng: random.Random) -> str:
    """Cut, double, swap or replace something, once or twice."""
    for _ in range(rng.randint(1, 2)):
        lines = text.splitlines(keepends=True) or ["\n"]
        at, where = rng.randrange(len(lines)), rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0:
                del lines[at]
                text = "".join(lines)
            case 1:
                text = "".join([*lines[:at], lines[at], *lines[at:]])
            case 2:
                lines[at] = f"{lines[at].partition('=')[0].strip()} = {rng.choice(VALUES)}\n"
                text = "".join(lines)
            case 3:
                text = text[:where] + rng.choice(PIECES) + text[where:]
            case _:
                text = text[:where] + text[where + rng.randint(1, 5) :]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_damaged_recipes(write: Write, read: Load, seed: int) -> None:
    rng, ends = random.Random(seed), Counter[str]()
    for _ in range(150):
        path = write(text=damage(throwaway.RECIPE, rng))
        try:
            recipe = read(path)
        except MmxError as error:
            ends["refused"] += 1
            assert "r.toml" in str(error) and len(str(error)) < 10_000
        else:
            ends["held"] += 1
            assert read(write("back.toml", text=to_toml(recipe))) == recipe
    assert min(ends["refused"], ends["held"]) > 2, ends


@pytest.mark.parametrize("table", [name for name in TABLES if name not in ("teachers", "data.turns", "optim.groups")])
def test_typing_errors_in_keys_are_found_and_the_key_suggested(table: str, write: Write, read: Load) -> None:
    keys = [option.key for option in options(TABLES[table]) if len(option.key) > 3]
    for key in keys:
        for typo in (key[:2] + key[3:], key[:1] + key[2] + key[1] + key[3:], key[:-1] + "_" + key[-1]):
            if typo not in keys and typo != key:
                with pytest.raises(MmxError, match=f"{table}.{typo}: unknown key; did you mean '{key}'"):
                    read(write(), f"{table}.{typo}=1")
