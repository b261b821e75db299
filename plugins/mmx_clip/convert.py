"""Weights of other projects' CLIP models, under the names and in the layouts of an mmx ``Model``, and the way back.

The model has ``vit`` or ``modified_resnet``, ``transformer`` and ``projection``; activation and heads cannot be told
from weights. Numbers are only moved, never changed, so that gradients are translated in the same way.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from mmx.errors import CheckpointError


@final
@dataclass(frozen=True)
class Change:
    """How a tensor of theirs becomes one of ours, and back."""

    read: Callable[[Tensor], Tensor]
    write: Callable[[Tensor], Tensor]


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
        return joined if self.change is None else self.change.read(joined).contiguous()

    def write(self, tensor: Tensor) -> dict[str, Tensor]:
        """Return the tensors of theirs that ours is made of; they may share its memory."""
        whole = tensor if self.change is None else self.change.write(tensor).contiguous()
        parts = (whole,) if len(self.names) == 1 else whole.chunk(len(self.names))
        return dict(zip(self.names, parts, strict=True))


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
    stages = [_count(state, f"visual.layer{stage}.") for stage in range(1, 5)]
    image = _modified_resnet(stages) if resnet else _vit(_count(state, "visual.transformer.resblocks."))
    sources = {**image, **_text(_count(state, "transformer.resblocks."))}
    return _translated(state, sources, "open_clip's CLIP")


def to_open_clip(tensors: Mapping[str, Tensor], stages: Sequence[int] = ()) -> dict[str, Tensor]:
    """Translate our tensors to the state of open_clip's ``CLIP``; ``stages`` are the blocks in those of a ModifiedResNet.

    Raises:
        CheckpointError: names are missing, or there are others.
    """
    image = _modified_resnet(stages) if stages else _vit(_count(tensors, "image_encoder.layers."))
    sources = {**image, **_text(_count(tensors, "text_encoder.layers."))}
    return _written(tensors, sources, "open_clip's CLIP")


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the state of transformers' ``CLIPModel``.

    Raises:
        CheckpointError: names are missing, or there are others.
    """
    layers = [_count(state, f"{tower}_model.encoder.layers.") for tower in ("vision", "text")]
    return _translated(state, _transformers(*layers), "transformers' CLIPModel")


def to_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate our tensors to the names that transformers' ``CLIPModel`` has on disk.

    Raises:
        CheckpointError: names are missing, or there are others.
    """
    layers = [_count(tensors, f"{tower}_encoder.layers.") for tower in ("image", "text")]
    return _written(tensors, _transformers(*layers), "transformers' CLIPModel")


def _transformers(image_layers: int, text_layers: int) -> Sources:
    sources = {
        "image_encoder.patches.start": Source(("vision_model.embeddings.class_embedding",)),
        "image_encoder.patches.linear.weight": Source(("vision_model.embeddings.patch_embedding.weight",), _FLAT),
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
    for index in range(image_layers):
        sources |= _transformers_block(f"vision_model.encoder.layers.{index}", f"image_encoder.layers.{index}")
    for index in range(text_layers):
        sources |= _transformers_block(f"text_model.encoder.layers.{index}", f"text_encoder.layers.{index}")
    return sources


def _vit(layers: int) -> Sources:
    sources = {
        "image_encoder.patches.start": Source(("visual.class_embedding",)),
        "image_encoder.patches.linear.weight": Source(("visual.conv1.weight",), _FLAT),
        "image_encoder.patches.position": Source(("visual.positional_embedding",)),
        **_same("visual.ln_pre", "image_encoder.patches.norm"),
        **_same("visual.ln_post", "image_encoder.norm"),
        "fusion.image.weight": Source(("visual.proj",), _TRANSPOSED),
    }
    for index in range(layers):
        sources |= _open_clip_block(f"visual.transformer.resblocks.{index}", f"image_encoder.layers.{index}")
    return sources


def _text(layers: int) -> Sources:
    sources = {
        "text_encoder.tokens.table.weight": Source(("token_embedding.weight",)),
        "text_encoder.tokens.position": Source(("positional_embedding",)),
        **_same("ln_final", "text_encoder.norm"),
        "fusion.text.weight": Source(("text_projection",), _TRANSPOSED),
        "fusion.logit_scale": Source(("logit_scale",)),
    }
    for index in range(layers):
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


def _modified_resnet(stages: Sequence[int]) -> Sources:
    """Return the tower's sources, for so many blocks in each of the four stages."""
    sources = {"image_encoder.pool.position": Source(("visual.attnpool.positional_embedding",))}
    pool = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "c_proj": "out"}
    sources |= _pairs("visual.attnpool", "image_encoder.pool", pool)
    for index in range(3):
        sources |= _convolution("visual", index + 1, "image_encoder.stem", 3 * index)
    place = 0
    for stage, blocks in enumerate(stages, start=1):
        for index in range(blocks):
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


_FLAT: Final = Change(lambda kernel: kernel.flatten(1), lambda flat: flat.unflatten(1, (3, _side(flat), _side(flat))))
_TRANSPOSED: Final = Change(lambda matrix: matrix.T, lambda matrix: matrix.T)


def _side(flat: Tensor) -> int:
    return math.isqrt(flat.shape[1] // 3)


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


def _written(tensors: Mapping[str, Tensor], sources: Sources, what: str) -> dict[str, Tensor]:
    """Return their tensors, once it is certain that ours are exactly those that they are made of."""
    wrong = _named("missing", set(sources) - set(tensors)) + _named("unknown", set(tensors) - set(sources))
    if wrong:
        raise CheckpointError(f"this model is not {what}: {'; '.join(wrong)}")
    return {name: value for ours, source in sources.items() for name, value in source.write(tensors[ours]).items()}


def _named(problem: str, names: set[str]) -> list[str]:
    shown = sorted(names)
    more = f" and {len(shown) - 8} more" if len(shown) > 8 else ""
    return [f"{problem}: {', '.join(shown[:8])}{more}"] if shown else []
