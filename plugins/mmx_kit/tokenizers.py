"""Tokenizers: ids in range, start and end in place, and the same for a text whatever was read before it."""

from collections.abc import Sequence
from typing import Final

import torch

from mmx.parts.batch import Words
from mmx.parts.tokenizer import Tokenizer
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.sources import CAPTIONS, ODD_TEXTS

_KIND: Final = ("tokenizer",)
_EVERY: Final = (*CAPTIONS, *ODD_TEXTS.values())


def _ids(case: Case) -> None:
    tokens: Tokenizer = case.build()
    for name in ("pad", "start", "end"):
        id = getattr(tokens, name)
        if type(id) is not int or not 0 <= id < tokens.vocabulary:
            raise BrokenError(f"{name} is {id!r}: expected an id below the vocabulary's {tokens.vocabulary}")
    mask = tokens.mask
    if mask is not None and (not 0 <= mask < tokens.vocabulary or mask in (tokens.pad, tokens.start, tokens.end)):
        raise BrokenError(f"mask is {mask!r}: expected an id of its own below {tokens.vocabulary}, or None")
    for text in CAPTIONS:
        ids = tokens.encode(text)
        _check_ids(tokens, repr(text), ids)
        if len(ids) < 3:
            raise BrokenError(f"{text!r} is encoded as {ids}: there is nothing between start and end")


def _check_ids(tokens: Tokenizer, what: str, ids: Sequence[int]) -> None:
    wrong = [id for id in ids if type(id) is not int or not 0 <= id < tokens.vocabulary]
    if wrong:
        raise BrokenError(f"{what} has the id {wrong[0]!r}: expected ids below the vocabulary's {tokens.vocabulary}")
    if len(ids) < 2 or ids[0] != tokens.start or ids[-1] != tokens.end:
        raise BrokenError(
            f"{what} is encoded as {_short(ids)}: expected start ({tokens.start}) first and end ({tokens.end}) last"
        )
    if len(ids) > tokens.context:
        raise BrokenError(f"{what} has {len(ids)} ids, more than the context of {tokens.context}")


def _odd_texts(case: Case) -> None:
    tokens: Tokenizer = case.build()
    for name, text in ODD_TEXTS.items():
        try:
            ids = tokens.encode(text)
            tokens([text])
        except Exception as error:
            raise BrokenError(f"on {name}: {type(error).__name__}: {error}; every text has ids") from error
        _check_ids(tokens, name, ids)


def _truncation(case: Case) -> None:
    tokens: Tokenizer = case.build()
    words = "a red dog and two blue cats "
    whole = tokens.encode(words * 1000)
    _check_ids(tokens, "a text of 7,000 words", whole)
    if len(whole) != tokens.context:
        raise BrokenError(f"a text of 7,000 words has {len(whole)} ids: expected as many as fit, {tokens.context}")
    longer = tokens.encode(words * 2000)
    if longer != whole:
        raise BrokenError("a text that is cut depends on what comes behind the cut: expected its beginning, and end")
    short = tokens.encode("a red")[:-1]
    if whole[: len(short)] != short:
        raise BrokenError(
            f"a text that is cut begins with {_short(whole[: len(short)])}: expected its beginning, {short}"
        )


def _batches(case: Case) -> None:
    tokens: Tokenizer = case.build()
    texts = list(_EVERY)
    found: Words = tokens(texts)
    shape = (len(texts), tokens.context)
    for name, tensor, dtype in (("ids", found.ids, torch.int64), ("mask", found.mask, torch.bool)):
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            raise BrokenError(
                f"{name} of {len(texts)} texts are {dtype} of {shape}: found {tensor.dtype} {tuple(tensor.shape)}"
            )
    for text, ids, mask in zip(texts, found.ids.tolist(), found.mask.tolist(), strict=True):
        single = tokens.encode(text)
        rest = tokens.context - len(single)
        what = repr(text[:20])
        if ids != [*single, *[tokens.pad] * rest]:
            raise BrokenError(
                f"the row of {what} is {_short(ids)}: expected encode's ids and then padding, {_short(single)}"
            )
        if mask != [True] * len(single) + [False] * rest:
            raise BrokenError(f"the mask of {what} is not True for its {len(single)} ids and False on padding")


def _decoding(case: Case) -> None:
    tokens: Tokenizer = case.build()
    for text in CAPTIONS:
        ids = tokens.encode(text)
        found = tokens.decode(ids)
        if "".join(found.lower().split()) != "".join(text.split()):
            raise BrokenError(f"{text!r} is encoded and decoded to {found!r}: expected its words, special ids left out")
        if len(ids) >= tokens.context:
            raise BrokenError(f"{text!r} fills its context of {tokens.context}; give example() a longer one")
    if tokens.decode([tokens.start, tokens.end]).strip():
        raise BrokenError(
            f"start and end are decoded to {tokens.decode([tokens.start, tokens.end])!r}: expected nothing"
        )


def _no_state(case: Case) -> None:
    tokens: Tokenizer = case.build()
    first = [tokens.encode(text) for text in _EVERY]
    tokens(list(_EVERY[::-1]))
    for what, other in (
        ("after others were read", tokens),
        ("by a new instance, in another order", case.build(seed=1)),
    ):
        again = [other.encode(text) for text in _EVERY[::-1]][::-1]
        for text, one, two in zip(_EVERY, first, again, strict=True):
            if one != two:
                raise BrokenError(f"{text[:20]!r} is encoded otherwise {what}: {_short(one)} became {_short(two)}")
    if len({tuple(ids) for ids in first[: len(CAPTIONS)]}) < len(CAPTIONS):
        raise BrokenError(f"different texts have the same ids: {', '.join(map(repr, CAPTIONS))}")


def _short(ids: Sequence[object]) -> str:
    shown = ", ".join(map(str, ids[:20]))
    return f"[{shown}, ...]" if len(ids) > 20 else f"[{shown}]"


TOKENIZER_CHECKS: Final = (
    Check("ids", "ids are within the vocabulary; start is first and end is last", _KIND, _ids),
    Check("odd texts", "empty, long and foreign texts have ids too", _KIND, _odd_texts),
    Check("truncation", "a long text is cut to the context, and keeps its end", _KIND, _truncation),
    Check("batches", "a batch has the ids of each text, padded on the right, and a mask of them", _KIND, _batches),
    Check("decoding", "decoding what was encoded gives the words again", _KIND, _decoding),
    Check("no state", "ids of a text depend on nothing else, and differ from those of other texts", _KIND, _no_state),
)
