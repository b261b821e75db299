"""Weights of other projects' CLIP models, under the names and in the layouts of an mmx ``Model``.

The model has ``vit`` or ``modified_resnet``, ``transformer`` and ``projection``; activation and heads cannot be told
from weights. Numbers are only moved, never changed, so that gradients are translated in the same way.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from mmx.errors import CheckpointError

Change = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True)
class Source:
    """What one of our tensors is made of: tensors of theirs, joined along the first axis and then changed."""

    names: tuple[str, ...]
    change: Change | None = None

    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """Return our tensor; it may share memory with theirs."""
        parts = [state[name] for name in self.names]
        joined = parts[0] if len(parts) == 1 else torch.cat(parts)
        return joined if self.change is None else self.change(joined).contiguous()


Sources = dict[str, Source]
"""By our name."""

_LINEAR: Final = ("weight", "bias")
_BATCH_NORM: Final = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_WITHOUT_WEIGHTS: Final = re.compile(r"input_resolution|context_length|vocab_size|\w+\.embeddings\.position_ids")
"""Sizes and position numbers that older files hold besides the weights."""


def from_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the state of open_clip's ``CLIP`` (also the original's), with a ViT or a ModifiedResNet tower.

    Raises:
        CheckpointError: names are missing, or there are others.
    """
    resnet = any(name.startswith("visual.layer") for name in state)
    image = _modified_resnet(state) if resnet else _vit(state)
    return _translated(state, {**image, **_text(state)}, "open_clip's CLIP")


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the state of transformers' ``CLIPModel``.

    Raises:
        CheckpointError: names are missing, or there are others.
    """
    sources = {
        "image_encoder.patches.start": Source(("vision_model.embeddings.class_embedding",)),
        "image_encoder.patches.linear.weight": Source(("vision_model.embeddings.patch_embedding.weight",), _flat),
        "image_encoder.patches.position": Source(("vision_model.embeddings.position_embedding.weight",)),
        **_same("vision_model.pre_layrnorm", "image_encoder.patches.norm"),
        **_same("vision_model.post_layernorm", "image_encoder.norm"),
        "fusion.image.weight": Source(("visual_projection.weight",)),
        "text_encoder.tokens.table.weight": Source(("text_model.embeddings.token_embedding.weight",)),
        "text_encoder.tokens.position": Source(("text_model.embeddings.position_embedding.weight",)),
        **_same("text_model.final_layer_norm", "text_encoder.norm"),
        "fusion.text.weight": Source(("text_projection.weight",)),
        "fusion.logit_scale": Source(("logit_scale",)),
    }
    for theirs, ours in (("vision_model", "image_encoder"), ("text_model", "text_encoder")):
        for index in range(_count(state, f"{theirs}.encoder.layers.")):
            sources |= _transformers_block(f"{theirs}.encoder.layers.{index}", f"{ours}.layers.{index}")
    return _translated(state, sources, "transformers' CLIPModel")


def _vit(state: Mapping[str, Tensor]) -> Sources:
    sources = {
        "image_encoder.patches.start": Source(("visual.class_embedding",)),
        "image_encoder.patches.linear.weight": Source(("visual.conv1.weight",), _flat),
        "image_encoder.patches.position": Source(("visual.positional_embedding",)),
        **_same("visual.ln_pre", "image_encoder.patches.norm"),
        **_same("visual.ln_post", "image_encoder.norm"),
        "fusion.image.weight": Source(("visual.proj",), _transposed),
    }
    for index in range(_count(state, "visual.transformer.resblocks.")):
        sources |= _open_clip_block(f"visual.transformer.resblocks.{index}", f"image_encoder.layers.{index}")
    return sources


def _text(state: Mapping[str, Tensor]) -> Sources:
    sources = {
        "text_encoder.tokens.table.weight": Source(("token_embedding.weight",)),
        "text_encoder.tokens.position": Source(("positional_embedding",)),
        **_same("ln_final", "text_encoder.norm"),
        "fusion.text.weight": Source(("text_projection",), _transposed),
        "fusion.logit_scale": Source(("logit_scale",)),
    }
    for index in range(_count(state, "transformer.resblocks.")):
        sources |= _open_clip_block(f"transformer.resblocks.{index}", f"text_encoder.layers.{index}")
    return sources


def _open_clip_block(theirs: str, ours: str) -> Sources:
    fused = {f"{ours}.attention.qkv.{kind}": Source((f"{theirs}.attn.in_proj_{kind}",)) for kind in _LINEAR}
    pairs = {"ln_1": "norm_attention", "attn.out_proj": "attention.out", "ln_2": "norm_mlp"}
    pairs |= {"mlp.c_fc": "mlp.up", "mlp.c_proj": "mlp.down"}
    return fused | _pairs(theirs, ours, pairs)


def _transformers_block(theirs: str, ours: str) -> Sources:
    fused = {
        f"{ours}.attention.qkv.{kind}": Source(tuple(f"{theirs}.self_attn.{part}_proj.{kind}" for part in "qkv"))
        for kind in _LINEAR
    }
    pairs = {"layer_norm1": "norm_attention", "self_attn.out_proj": "attention.out", "layer_norm2": "norm_mlp"}
    pairs |= {"mlp.fc1": "mlp.up", "mlp.fc2": "mlp.down"}
    return fused | _pairs(theirs, ours, pairs)


def _modified_resnet(state: Mapping[str, Tensor]) -> Sources:
    """Return the tower's sources; the blocks of each of the four stages are counted in the names."""
    sources = {"image_encoder.pool.position": Source(("visual.attnpool.positional_embedding",))}
    pool = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "c_proj": "out"}
    sources |= _pairs("visual.attnpool", "image_encoder.pool", pool)
    for index in range(3):
        sources |= _convolution("visual", index + 1, "image_encoder.stem", 3 * index)
    place = 0
    for stage in range(1, 5):
        for index in range(_count(state, f"visual.layer{stage}.")):
            theirs, ours = f"visual.layer{stage}.{index}", f"image_encoder.layers.{place}"
            sources |= _bottleneck(theirs, ours, first=index == 0, pooled=int(index == 0 and stage > 1))
            place += 1
    return sources


def _bottleneck(theirs: str, ours: str, first: bool, pooled: int) -> Sources:
    """Return a block's sources. Where it has a stride, a pool stands before the last convolution and in the side path."""
    sources: Sources = {}
    for number, place in ((1, 0), (2, 3), (3, 6 + pooled)):
        sources |= _convolution(theirs, number, f"{ours}.body", place)
    if first:
        sources |= {f"{ours}.side.{pooled}.weight": Source((f"{theirs}.downsample.0.weight",))}
        sources |= _same(f"{theirs}.downsample.1", f"{ours}.side.{pooled + 1}", _BATCH_NORM)
    return sources


def _convolution(theirs: str, number: int, ours: str, place: int) -> Sources:
    kernel = {f"{ours}.{place}.weight": Source((f"{theirs}.conv{number}.weight",))}
    return kernel | _same(f"{theirs}.bn{number}", f"{ours}.{place + 1}", _BATCH_NORM)


def _same(theirs: str, ours: str, kinds: tuple[str, ...] = _LINEAR) -> Sources:
    return {f"{ours}.{kind}": Source((f"{theirs}.{kind}",)) for kind in kinds}


def _pairs(theirs: str, ours: str, pairs: Mapping[str, str]) -> Sources:
    sources: Sources = {}
    for name, own in pairs.items():
        sources |= _same(f"{theirs}.{name}", f"{ours}.{own}")
    return sources


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many blocks are numbered behind a prefix."""
    found = [re.match(r"\d+", name[len(prefix) :]) for name in state if name.startswith(prefix)]
    return max((int(number.group()) + 1 for number in found if number), default=0)


def _flat(kernel: Tensor) -> Tensor:
    return kernel.flatten(1)


def _transposed(matrix: Tensor) -> Tensor:
    return matrix.T


def _translated(state: Mapping[str, Tensor], sources: Sources, what: str) -> dict[str, Tensor]:
    """Return our tensors, once it is certain that theirs are exactly those that are read."""
    read = {name for source in sources.values() for name in source.names}
    given = {name for name in state if not _WITHOUT_WEIGHTS.fullmatch(name)}
    wrong = _named("missing", read - given) + _named("unknown", given - read)
    if wrong:
        raise CheckpointError(
            f"these weights are not those of {what} with a ViT or a ModifiedResNet and a text transformer: "
            f"{'; '.join(wrong)}; give the state of such a model, unchanged"
        )
    return {name: source.read(state) for name, source in sources.items()}


def _named(problem: str, names: set[str]) -> list[str]:
    shown = sorted(names)
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return [f"{problem}: {', '.join(shown[:8])}{more}"] if shown else []
