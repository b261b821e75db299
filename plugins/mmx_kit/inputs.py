"""Seeded example inputs: views of 7 rows, and batches that have whatever a loss reads."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from mmx.parts.batch import Batch, Pixels, Words
from mmx.parts.loss import BatchLoss, ItemLoss, Loss
from mmx.parts.sizes import Sizes
from mmx_kit.partners import PATCHES, ROWS, SIZES


def example_pixels(rows: int = ROWS, seed: int = 0, sizes: Sizes = SIZES) -> Pixels:
    """Return an image view of random pixels, 0 to 255, uint8."""
    draw = torch.Generator().manual_seed(seed)
    return Pixels(torch.randint(256, (rows, 3, sizes.image, sizes.image), generator=draw, dtype=torch.uint8))


def example_words(rows: int = ROWS, seed: int = 0, sizes: Sizes = SIZES) -> Words:
    """Return a text view: start, 1 to ``context - 2`` words, end, padding. Some rows fill the context.

    Labels mark an uneven share of the words, more in later rows, and none in the first: -100 elsewhere.
    """
    draw = torch.Generator().manual_seed(seed)
    places = torch.arange(sizes.context)
    lengths = 3 + (torch.randperm(rows, generator=draw) * (sizes.context - 3)) // max(1, rows - 1)
    special = {sizes.pad, sizes.start, sizes.end}
    plain = torch.tensor([id for id in range(sizes.vocabulary) if id not in special])
    ids = plain[torch.randint(len(plain), (rows, sizes.context), generator=draw)]
    mask = places < lengths[:, None]
    ids = ids.masked_fill(~mask, sizes.pad)
    ids[:, 0], ids[torch.arange(rows), lengths - 1] = sizes.start, sizes.end
    return Words(ids, mask, _labels(ids, lengths, draw))


def _labels(ids: Tensor, lengths: Tensor, draw: torch.Generator) -> Tensor:
    places = torch.arange(ids.shape[1])
    words = (places > 0) & (places < lengths[:, None] - 1)
    chance = torch.linspace(0.0, 0.9, len(ids))[:, None]
    chosen = (torch.rand(ids.shape, generator=draw) < chance) & words
    chosen[-1, 1] = True  # at least one item, however few rows there are
    return torch.where(chosen, ids, -100)


def batch_for(losses: Loss | Iterable[Loss], sizes: Sizes = SIZES, rows: int = ROWS, step: int = 0) -> Batch:
    """Return a batch with the views and the facts that the losses read, and nothing else.

    The views are all of paired rows. Facts are small numbers of 0 or more with repeats, as a group or a label has.
    """
    every = [losses] if isinstance(losses, Loss) else list(losses)
    images = sorted({view for loss in every for view in loss.image_views})
    texts = sorted({view for loss in every for view in loss.text_views})
    features = {pull for loss in every if isinstance(loss, BatchLoss) for pull in loss.features()}
    facts = sorted(
        {pull.view for pull in features if pull.kind == "fact"}
        | {name for loss in every if isinstance(loss, ItemLoss) for name in loss.facts}
    )
    return Batch(
        images={name: example_pixels(rows, _seed(step, name), sizes) for name in images},
        texts={name: example_words(rows, _seed(step, name), sizes) for name in texts},
        facts={name: example_fact(rows, _seed(step, name)) for name in facts},
        keys=[f"row-{step}-{index}" for index in range(rows)],
        step=step,
    )


def with_hidden(batch: Batch) -> Batch:
    """Return the batch with an uneven share of the patches of each image view hidden, and a label, 0 to 7, for each."""

    def hide(name: str, view: Pixels) -> Pixels:
        rows, draw = len(view), torch.Generator().manual_seed(_seed(batch.step, name) + 1)
        hidden = torch.rand(rows, PATCHES, generator=draw) < torch.linspace(0.2, 0.8, rows)[:, None]
        labels = torch.randint(8, hidden.shape, generator=draw)
        return replace(view, hidden=hidden, labels=labels.masked_fill(~hidden, -100))

    return replace(batch, images={name: hide(name, view) for name, view in batch.images.items()})


def example_fact(rows: int = ROWS, seed: int = 0) -> Tensor:
    """Return a number of 0 or more for each row; some rows share theirs, as rows of one group do."""
    fact = torch.randint(max(2, rows - 2), (rows,), generator=torch.Generator().manual_seed(seed))
    if rows > 2:
        fact[-1] = fact[0]
    return fact


def _seed(step: int, name: str) -> int:
    """Return a seed that differs between steps and views; the same in every process, which ``hash`` is not."""
    return 1000 * step + sum((place + 1) * ord(letter) for place, letter in enumerate(name)) % 997
