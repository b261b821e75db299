"""Embeddings of texts: in batches, each text once, shared out over ranks; and of classes, from their prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmx.parts.evaluator import EvalModel


@torch.no_grad()
def embed_texts(subject: EvalModel, texts: Sequence[str], batch: int) -> Float[Tensor, "k d"]:
    """Return unit vectors of texts on the CPU, in fp32 and alike on all ranks; equal texts are encoded once.

    Args:
        subject: the model and its tokenizer.
        texts: at least one.
        batch: how many are encoded at once.
    """
    unique = list(dict.fromkeys(texts))
    share = subject.share(len(unique))
    vectors = _gathered(subject, embed_here(subject, unique[share.start : share.stop], batch))
    places = {text: place for place, text in enumerate(unique)}
    return vectors if len(unique) == len(texts) else vectors[[places[text] for text in texts]]


@torch.no_grad()
def class_vectors(
    subject: EvalModel, names: Sequence[str], templates: Sequence[str], batch: int
) -> Float[Tensor, "c d"]:
    """Return one unit vector a class: the mean of its prompts' embeddings, renormalised (Radford et al. 2021, 3.1.4).

    As :func:`embed_texts`; prompts of at most ``batch`` names are in memory at a time.

    Args:
        subject: the model and its tokenizer.
        names: of the classes, at least one.
        templates: prompts with ``{}`` for the name, at least one.
        batch: how many prompts are encoded at once.
    """
    unique = list(dict.fromkeys(names))
    share = subject.share(len(unique))
    here, few = unique[share.start : share.stop], max(1, batch // len(templates))
    pieces = [_class_vectors(subject, here[at : at + few], templates, batch) for at in range(0, len(here), few)]
    vectors = _gathered(subject, torch.cat(pieces) if pieces else embed_here(subject, [], batch))
    places = {name: place for place, name in enumerate(unique)}
    return vectors if len(unique) == len(names) else vectors[[places[name] for name in names]]


def _class_vectors(
    subject: EvalModel, names: Sequence[str], templates: Sequence[str], batch: int
) -> Float[Tensor, "c d"]:
    prompts = [template.format(name) for name in names for template in templates]
    vectors = embed_here(subject, prompts, batch).unflatten(0, (len(names), len(templates)))
    return functional.normalize(vectors.mean(dim=1), dim=-1)


def embed_here(subject: EvalModel, texts: Sequence[str], batch: int) -> Float[Tensor, "k d"]:
    """Return what this rank makes of texts, on the CPU in fp32; of none, no rows, as wide as others."""
    if not texts:
        return embed_here(subject, [""], batch)[:0]
    device = subject.model.mean.device
    pieces = [
        subject.model.embed_text(subject.tokenizer(texts[at : at + batch]).to(device)).float().cpu()
        for at in range(0, len(texts), batch)
    ]
    return torch.cat(pieces)


def _gathered(subject: EvalModel, rows: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    return rows if subject.group is None else subject.gather(rows.to(subject.model.mean.device)).cpu()
