"""Made-up global batches: every view any toy reads, all a function of the step alone."""

from collections.abc import Iterable

import torch
from torch import Tensor

from mmx.parts.batch import Batch, Pixels, Words

SIDE, PATCH, LENGTH, VOCABULARY, CODEBOOK, MASK_ID = 8, 4, 5, 12, 7, 11
PATCHES = (SIDE // PATCH) ** 2
PAIRED, IMAGES_ALONE, TEXTS_ALONE = 32, 20, 24
BLOCK = 4
"""Rows among which hard negatives are drawn: as many as the smallest micro-batch of the tests has."""


def make_batch(step: int, images: Iterable[str], texts: Iterable[str]) -> Batch:
    """Return the global batch of one step with the given views.

    A view called ``masked`` hides a part, ``alone`` has rows of its own (and hides too), ``given`` has every third
    text swapped for its neighbour's.
    """
    draw = torch.Generator().manual_seed(step)
    pixels = torch.randint(256, (PAIRED, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    words = _words(PAIRED, draw)
    facts = _facts(draw)
    image_views = {
        "clean": Pixels(pixels),
        "first": Pixels(pixels.flip(3)),
        "second": Pixels(pixels.roll(1, 2)),
        "masked": _hide_patches(pixels, draw),
        "alone": _hide_patches(torch.randint(256, (IMAGES_ALONE, 3, SIDE, SIDE), generator=draw), draw),
    }
    swapped = torch.where(facts["matched"] == 1, torch.arange(PAIRED), (torch.arange(PAIRED) + 1) % PAIRED)
    text_views = {
        "clean": words,
        "given": Words(words.ids[swapped], words.mask[swapped]),
        "masked": _hide_words(words, draw),
        "alone": _hide_words(_words(TEXTS_ALONE, draw), draw),
    }
    return Batch(
        images={name: image_views[name] for name in images},
        texts={name: text_views[name] for name in texts},
        facts=facts,
        keys=[f"row-{step}-{index}" for index in range(PAIRED)],
        step=step,
    )


def _facts(draw: torch.Generator) -> dict[str, Tensor]:
    group = torch.randint(12, (PAIRED,), generator=draw)
    group[:BLOCK] = 99  # a block without any possible negative
    return {
        "id": torch.randint(2**31, (PAIRED,), generator=draw),
        "group": group,
        "matched": (torch.arange(PAIRED) % 3 != 0).long(),
    }


def _words(rows: int, draw: torch.Generator) -> Words:
    ids = torch.randint(MASK_ID, (rows, LENGTH), generator=draw)
    lengths = torch.randint(2, LENGTH + 1, (rows, 1), generator=draw)
    mask = torch.arange(LENGTH) < lengths
    following = torch.cat([ids[:, 1:], ids.new_full((rows, 1), -100)], dim=1)
    real = torch.cat([mask[:, 1:], mask.new_zeros((rows, 1))], dim=1)
    return Words(ids, mask, torch.where(real, following, -100))


def _hide_words(words: Words, draw: torch.Generator) -> Words:
    """Mask an uneven share of the words: late rows hide more, so that micro-batches have unlike numbers of items."""
    chance = torch.linspace(0.1, 0.9, len(words)).unsqueeze(1)
    hidden = (torch.rand(words.ids.shape, generator=draw) < chance) & words.mask
    return Words(torch.where(hidden, MASK_ID, words.ids), words.mask, torch.where(hidden, words.ids, -100))


def _hide_patches(pixels: Tensor, draw: torch.Generator) -> Pixels:
    shape = (pixels.shape[0], PATCHES)
    hidden = torch.rand(shape, generator=draw) < torch.linspace(0.2, 0.7, shape[0]).unsqueeze(1)
    codes = torch.randint(CODEBOOK, shape, generator=draw)
    return Pixels(pixels, hidden, torch.where(hidden, codes, -100))
