"""Tokenizers that are read from tokenizer.json, beside the library's own ids."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from mmx.errors import RecipeError
from mmx_tokenizers.config import FileTokenizerConfig
from mmx_tokenizers.tokenizer import FileTokenizer

LINES = ("A dog sleeps on a red sofa.", "two CATS, one ball", "the sofa is not red; it is blue", "")
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def trained(special: list[str], kind: str) -> Any:
    """Return a tokenizer of the library, trained on a few lines."""
    if kind == "wordpiece":
        made = Library(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    else:
        made = Library(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
        made.train_from_iterator(LINES, trainer)
    return made


def around(template: str, *special: tuple[str, int]) -> Any:
    return processors.TemplateProcessing(template, None, list(special))


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    made = trained(BERT, "wordpiece")
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def tokenizer(file: Path, **options: Any) -> FileTokenizer:
    return FileTokenizer(FileTokenizerConfig.model_validate({"name": "huggingface", "file": str(file), **options}))


@pytest.mark.parametrize("context", [5, 12, 77])
def test_ids_are_the_librarys(bert: Path, context: int) -> None:
    ours, theirs = tokenizer(bert, context=context), Library.from_file(str(bert))
    theirs.enable_truncation(context)
    theirs.enable_padding(length=context, pad_id=0)
    found = ours(LINES)
    assert found.ids.tolist() == [theirs.encode(line).ids for line in LINES]
    assert found.mask.tolist() == [[one == 1 for one in theirs.encode(line).attention_mask] for line in LINES]
    assert [ours.encode(line) for line in LINES] == [
        row[row >= 0].tolist() for row in found.ids.masked_fill(~found.mask, -1)
    ]


def test_special_ids_are_those_of_the_file(bert: Path) -> None:
    ours = tokenizer(bert)
    assert (ours.pad, ours.start, ours.end, ours.mask) == (0, 2, 3, 4)
    assert ours.vocabulary == Library.from_file(str(bert)).get_vocab_size()
    assert ours.decode(ours.encode("a dog sleeps")) == "a dog sleeps"
    assert 4 not in ours.encode("a [MASK] sleeps"), "what a caption says is text"


@pytest.mark.parametrize(
    ("special", "processor", "expected"),
    [
        (["<s>", "<pad>", "</s>", "<mask>"], processors.RobertaProcessing(("</s>", 2), ("<s>", 0)), (0, 2, 1, 3)),
        (["<|endoftext|>"], None, (0, 0, 0, None)),
        (["[DEC]", "[SEP]", "[PAD]"], around("[DEC] $A [SEP]", ("[DEC]", 0), ("[SEP]", 1)), (0, 1, 2, None)),
        (["<bos>", "<eos>", "<pad>"], around("<bos> $A", ("<bos>", 0)), (0, 1, 2, None)),
    ],
)
def test_other_families(special: list[str], processor: Any, expected: tuple[int, ...], tmp_path: Path) -> None:
    made = trained(special, "bytes")
    if processor is not None:
        made.post_processor = processor
    made.save(str(tmp_path / "tokenizer.json"))
    ours = tokenizer(tmp_path)
    assert (ours.start, ours.end, ours.pad, ours.mask) == expected
    words = ours(["\u4e00 dog \U0001f415"])
    inside = words.ids[words.mask][1:-1].tolist()
    assert (
        made.decode(inside) == "\u4e00 dog \U0001f415"
        and inside == made.encode("\u4e00 dog \U0001f415", add_special_tokens=False).ids
    )
    again = pickle.loads(pickle.dumps(ours))
    assert torch.equal(again(["a dog"]).ids, ours(["a dog"]).ids)


def test_what_an_option_names_comes_first(bert: Path) -> None:
    assert tokenizer(bert, start="dog").start == Library.from_file(str(bert)).token_to_id("dog")


@pytest.mark.parametrize(
    ("spoil", "options", "found"),
    [
        (lambda file: file.unlink(), {}, "cannot be read: No such file"),
        (lambda file: file.write_bytes(b"\xff"), {}, "it is not UTF-8"),
        (lambda file: file.write_text("{}"), {}, "is no tokenizer.json that the package tokenizers reads"),
        (lambda file: None, {"mask": "[GAP]"}, r'mask = "\[GAP\]" is no piece'),
    ],
)
def test_what_cannot_be_read_is_told(
    spoil: Callable[[Path], None], options: dict[str, Any], found: str, bert: Path
) -> None:
    spoil(bert)
    with pytest.raises(RecipeError, match=found):
        tokenizer(bert, **options)


def test_a_file_that_does_not_say_what_starts_a_text_is_refused(tmp_path: Path) -> None:
    trained(["[X]"], "bytes").save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(RecipeError, match=r'which piece is the start of a text; name it with start = "..."'):
        tokenizer(tmp_path)
    assert tokenizer(tmp_path, start="[X]", end="[X]").start == 0
