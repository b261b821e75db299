"""The tokenizer against bytes written out by hand."""

from mmx_scaffold.templates.tokenizer.config import ThisPartConfig
from mmx_scaffold.templates.tokenizer.tokenizer import ThisPart


def tokenizer(context: int) -> ThisPart:
    return ThisPart(ThisPartConfig(name="part", context=context))


def test_ids() -> None:
    assert tokenizer(8).encode("Ab é") == [1, 65 + 3, 98 + 3, 32 + 3, 0xC3 + 3, 0xA9 + 3, 2]
    assert tokenizer(8).decode([1, 68, 101, 2, 0, 0]) == "Ab"


def test_a_character_is_not_cut() -> None:
    assert tokenizer(6).encode("Ab é") == [1, 68, 101, 35, 2]


def test_padding() -> None:
    words = tokenizer(5)(["A", "Abcdef"])
    assert words.ids.tolist() == [[1, 68, 2, 0, 0], [1, 68, 101, 102, 2]]
    assert words.mask.tolist() == [[True, True, True, False, False], [True] * 5]
