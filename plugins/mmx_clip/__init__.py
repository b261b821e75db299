"""CLIP (Radford et al. 2021, arXiv:2103.00020): its towers, projection, loss, tokenizer and formats of weights."""

from __future__ import annotations

from typing import Final

from mmx.config import PartConfig
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_clip.configs import (
    ClipLossConfig,
    ClipTokenizerConfig,
    ModifiedResNetConfig,
    ProjectionConfig,
    TextTransformerConfig,
    VitConfig,
)
from mmx_clip.weights_configs import OpenClipWeightsConfig, TransformersWeightsConfig

_PARTS: Final[tuple[tuple[str, str, type[PartConfig], str, str], ...]] = (
    (
        *("image_encoder", "vit", VitConfig, "mmx_clip.vit:Vit"),
        "CLIP's vision transformer: patches, class token, pre-norm blocks",
    ),
    (
        *("image_encoder", "modified_resnet", ModifiedResNetConfig, "mmx_clip.resnet:ModifiedResNet"),
        "CLIP's ResNet: three-conv stem, anti-aliased strides, attention pool; small forms by options",
    ),
    (
        *("text_encoder", "transformer", TextTransformerConfig, "mmx_clip.text:TextTransformer"),
        "CLIP's causal text transformer, pooled at the end of the text",
    ),
    (
        *("fusion", "projection", ProjectionConfig, "mmx_clip.projection:Projection"),
        "two linear maps into one space of unit vectors, and a learned temperature",
    ),
    (
        *("loss", "clip", ClipLossConfig, "mmx_clip.loss:ClipLoss"),
        "symmetric softmax contrastive loss over the global batch",
    ),
    (
        *("tokenizer", "clip", ClipTokenizerConfig, "mmx_clip.tokenizer:ClipTokenizer"),
        "CLIP's lower-cased byte-pair encoding, 49,408 ids",
    ),
    (
        *("weights", "open_clip", OpenClipWeightsConfig, "mmx_clip.weights_open_clip:OpenClipWeights"),
        "open_clip's folders of CLIP: open_clip_config.json, open_clip_model.safetensors",
    ),
    (
        *("weights", "transformers", TransformersWeightsConfig, "mmx_clip.weights_transformers:TransformersWeights"),
        "Hugging Face's folders of CLIPModel: config.json, model.safetensors",
    ),
)
"""Kind, name, options, part and summary."""


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register CLIP's parts."""
    for kind, name, config, part, summary in _PARTS:
        register(kind, name, config=config, part=part, summary=summary)
