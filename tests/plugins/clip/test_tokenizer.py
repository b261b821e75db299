"""The tokenizer against open_clip's ids, and its promises."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from mmx_clip.clean import LONGEST
from mmx_clip.configs import ClipTokenizerConfig
from mmx_clip.tokenizer import ClipTokenizer

GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden_tokens.json").read_text())


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer(ClipTokenizerConfig(name="clip"))


def test_ids_equal_open_clips(tokenizer: ClipTokenizer) -> None:
    assert len(GOLDEN) >= 200
    different = [row["text"] for row in GOLDEN if tokenizer.encode(row["text"]) != row["ids"]]
    assert different == []


def test_rows_are_padded_to_the_context_and_masked(tokenizer: ClipTokenizer) -> None:
    words = tokenizer(["a!✓", "", "word " * 200])
    assert words.ids.shape == words.mask.shape == (3, 77)
    assert words.mask.sum(dim=1).tolist() == [len(tokenizer.encode("a!✓")), 2, 77]
    assert words.ids[0, 2] == tokenizer.pad and words.mask[0, 2]  # "!" within a word has the id of padding
    assert words.ids[1, :3].tolist() == [tokenizer.start, tokenizer.end, tokenizer.pad]
    assert words.ids[2, -1] == tokenizer.end


def test_no_texts_make_no_rows(tokenizer: ClipTokenizer) -> None:
    assert tokenizer([]).ids.shape == (0, 77)


def test_a_short_context_keeps_the_end() -> None:
    tokenizer = ClipTokenizer(ClipTokenizerConfig(name="clip", context=4))
    ids = tokenizer.encode("one two three four five")
    assert len(ids) == 4 and ids[0] == tokenizer.start and ids[-1] == tokenizer.end
    assert tokenizer.decode(ids) == "one two"


def test_decode_returns_the_text_without_special_ids(tokenizer: ClipTokenizer) -> None:
    for text in ("a photo of a cat", "日本語", "👍 naïve"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_decode_replaces_what_is_not_utf8(tokenizer: ClipTokenizer) -> None:
    first, *_ = tokenizer.encode("日")[1:-1]
    assert tokenizer.decode([first]) in ("日", "\ufffd")


def test_a_pickle_is_small_and_encodes_the_same(tokenizer: ClipTokenizer) -> None:
    ids = tokenizer.encode("a photo of a cat")
    data = pickle.dumps(tokenizer)
    assert len(data) < 2_000
    assert pickle.loads(data).encode("a photo of a cat") == ids


def test_the_number_of_remembered_words_is_bounded(tokenizer: ClipTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmx_clip.tokenizer._KEPT", 10)
    fresh = ClipTokenizer(ClipTokenizerConfig(name="clip"))
    text = " ".join(f"word{letter}x" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert fresh.encode(text) == tokenizer.encode(text)
    assert len(fresh._known) <= 10
    assert fresh.encode("<end_of_text>") == [fresh.start, fresh.end, fresh.end]


def test_a_text_of_ten_megabytes_is_cut_and_one_long_word_ends(tokenizer: ClipTokenizer) -> None:
    assert tokenizer.encode("word " * 2_000_000) == tokenizer.encode("word " * 200)
    assert tokenizer.encode("é" * 10_000_000) == tokenizer.encode("é" * LONGEST)


def test_one_instance_has_the_published_special_ids(tokenizer: ClipTokenizer) -> None:
    assert (tokenizer.vocabulary, tokenizer.pad, tokenizer.start, tokenizer.end) == (49_408, 0, 49_406, 49_407)
    assert len(tokenizer._known.merges.pieces) == 49_406


def test_fewer_merges_make_a_smaller_vocabulary_and_the_same_text() -> None:
    small = ClipTokenizer(ClipTokenizerConfig(name="clip", merges=1000))
    assert small.vocabulary == 1514 and (small.start, small.end) == (1512, 1513)
    ids = small.encode("a photo of a hippopotamus")
    assert max(ids) == small.end and len(ids) > len(
        ClipTokenizer(ClipTokenizerConfig(name="clip")).encode("a hippopotamus")
    )
    assert small.decode(ids) == "a photo of a hippopotamus"
