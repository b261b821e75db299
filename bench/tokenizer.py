"""Captions per second of mmx's CLIP tokenizer, beside open_clip's and, where it is installed, transformers'.

    .peers/bin/python bench/tokenizer.py

In an environment as bench/peers.py describes. Every tokenizer makes padded tensors of 77 ids from the same captions, in
lists of 256, after their ids were found equal. "Cold" starts from nothing: a new tokenizer reads its vocabulary and
meets every word for the first time. "Warm" has met them. Exits with 1 where mmx is below 5 times open_clip's speed on
plain ASCII captions, cold or warm.
"""

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import Any, Final

import captions
import measure
import peers
import torch
from measure import Pairs
from torch import Tensor

from mmx_clip.configs import ClipTokenizerConfig
from mmx_clip.tokenizer import ClipTokenizer

Tokenize = Callable[[list[str]], Tensor]
OPEN_CLIP: Final = peers.open_clip()
LEAST: Final = 5.0
_LIST: Final = 256


def mmx_clip() -> Tokenize:
    """Make a new tokenizer of mmx's."""
    tokenizer = ClipTokenizer(ClipTokenizerConfig(name="clip"))
    return lambda texts: tokenizer(texts).ids


def transformers() -> Tokenize | None:
    """Make transformers' fast tokenizer from open_clip's vocabulary, since its own would have to be downloaded."""
    try:
        fast = importlib.import_module("transformers").CLIPTokenizerFast
    except ImportError:
        return None
    table = OPEN_CLIP.SimpleTokenizer()
    renamed = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    tokenizer = fast({renamed.get(piece, piece): id for piece, id in table.encoder.items()}, list(table.bpe_ranks))
    options: dict[str, Any] = {"padding": "max_length", "truncation": True, "max_length": 77, "return_tensors": "pt"}

    def tokenize(texts: list[str]) -> Tensor:
        made = tokenizer(texts, **options)
        return made.input_ids * made.attention_mask  # it pads with the end of text

    return tokenize


def tokenize_all(tokenize: Tokenize, texts: list[str]) -> list[Tensor]:
    """Tokenize in lists of the size of a batch."""
    return [tokenize(texts[first : first + _LIST]) for first in range(0, len(texts), _LIST)]


def different(ours: list[Tensor], theirs: list[Tensor]) -> int:
    """Return how many captions have other ids."""
    return int((torch.cat(ours) != torch.cat(theirs)).any(dim=1).sum())


def cold(texts: list[str], pairs: int) -> Pairs:
    """Time new tokenizers on all captions."""
    return measure.interleaved(
        lambda: tokenize_all(mmx_clip(), texts), lambda: tokenize_all(OPEN_CLIP.SimpleTokenizer(), texts), pairs
    )


def warm(ours: Tokenize, theirs: Tokenize, texts: list[str], pairs: int) -> Pairs:
    """Time tokenizers that know the words; each pair takes its own share of the captions, all of one size."""
    size = len(texts) // pairs
    shares = [texts[index * size : (index + 1) * size] for index in range(pairs)]
    found = [
        measure.interleaved(lambda s=s: tokenize_all(ours, s), lambda s=s: tokenize_all(theirs, s), 1) for s in shares
    ]
    return Pairs(tuple(pair.ours[0] for pair in found), tuple(pair.theirs[0] for pair in found))


def row(name: str, peer: str, pairs: Pairs, count: int) -> str:
    """Return a line of the table."""
    ours, theirs = (count / sorted(times)[len(times) // 2] for times in (pairs.ours, pairs.theirs))
    return f"{name:<28} {peer:<13} {ours:10.0f} {theirs:10.0f}   {pairs.describe()}"


def compare(name: str, texts: list[str], pairs: int) -> bool:
    """Print the rows of one set of captions; return whether open_clip is beaten as promised."""
    ours, theirs = mmx_clip(), OPEN_CLIP.SimpleTokenizer()
    ids = tokenize_all(ours, texts)
    wrong = different(ids, tokenize_all(theirs, texts))
    if wrong:
        sys.exit(f"{name}: {wrong} captions have other ids than open_clip's: not timed")
    tokens = sum(float((rows == rows.max()).int().argmax(dim=1).add(1).sum()) for rows in ids) / len(texts)
    print(f"{name}: {len(texts)} captions, {captions.distinct(texts)} distinct words, mean {tokens:.1f} tokens")
    found = {"cold": cold(texts, pairs), "warm": warm(ours, theirs, texts, pairs)}
    print(row(f"{name}, cold", "open_clip", found["cold"], len(texts)))
    print(row(f"{name}, warm", "open_clip", found["warm"], len(texts) // pairs))
    rust = transformers()
    if rust is None:
        print("transformers is not installed, so its tokenizer is not timed")
    elif wrong := different(ids, tokenize_all(rust, texts)):
        print(f"transformers gives other ids for {wrong} of these captions, so it is not timed on them")
    else:
        print(row(f"{name}, warm", "transformers", warm(ours, rust, texts, pairs), len(texts) // pairs), flush=True)
    return all(pair.ratio >= LEAST for pair in found.values())


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=50_000)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    print(measure.head("Tokenizers: text to padded ids", "open_clip_torch"))
    print(f"{'captions':<28} {'peer':<13} {'mmx /s':>10} {'peer /s':>10}   times as fast (95 % interval)")
    plain, mixed = captions.plain(args.captions), captions.mixed(args.captions)
    kept = compare("ASCII", plain, args.pairs)
    compare("5 % emoji, HTML, CJK", mixed, args.pairs)
    print("kept" if kept else f"below {LEAST} times open_clip's speed on ASCII captions")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
