"""The zero-shot classifier: one vector for each class name, made by the text tower from its prompts."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mmx.parts.evaluator import EvalModel


@torch.no_grad()
def classifier(subject: EvalModel, names: Sequence[str], templates: Sequence[str], batch: int) -> Float[Tensor, "c d"]:
    """Return one unit vector a class: the mean of its prompts' embeddings, renormalised (Radford et al. 2021, 3.1.4)."""
    prompts = [template.format(name) for name in names for template in templates]
    device = subject.model.mean.device
    share = subject.share(len(prompts))
    here = prompts[share.start : share.stop] or prompts[:1]
    pieces = [
        subject.model.embed_text(subject.tokenizer(here[first : first + batch]).to(device)).float()
        for first in range(0, len(here), batch)
    ]
    mean = subject.gather(torch.cat(pieces)[: len(share)]).unflatten(0, (len(names), len(templates))).mean(dim=1)
    return torch.nn.functional.normalize(mean, dim=-1)
