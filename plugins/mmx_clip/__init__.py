"""CLIP (Radford et al. 2021, arXiv:2103.00020): its towers, projection, loss and tokenizer."""

from __future__ import annotations

from mmx.hookspecs import hookimpl
from mmx.registry import Registrar
from mmx_clip.configs import (
    ClipLossConfig,
    ClipTokenizerConfig,
    ModifiedResNetConfig,
    ProjectionConfig,
    TextTransformerConfig,
    VitConfig,
)


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register CLIP's parts."""
    register(
        "image_encoder",
        "vit",
        config=VitConfig,
        part="mmx_clip.vit:Vit",
        summary="CLIP's vision transformer: patches, class token, pre-norm blocks",
    )
    register(
        "image_encoder",
        "modified_resnet",
        config=ModifiedResNetConfig,
        part="mmx_clip.resnet:ModifiedResNet",
        summary="CLIP's ResNet: three-conv stem, anti-aliased strides, attention pool; small forms by options",
    )
    register(
        "text_encoder",
        "transformer",
        config=TextTransformerConfig,
        part="mmx_clip.text:TextTransformer",
        summary="CLIP's causal text transformer, pooled at the end of the text",
    )
    register(
        "fusion",
        "projection",
        config=ProjectionConfig,
        part="mmx_clip.projection:Projection",
        summary="two linear maps into one space of unit vectors, and a learned temperature",
    )
    register(
        "loss",
        "clip",
        config=ClipLossConfig,
        part="mmx_clip.loss:ClipLoss",
        summary="symmetric softmax contrastive loss over the global batch",
    )
    register(
        "tokenizer",
        "clip",
        config=ClipTokenizerConfig,
        part="mmx_clip.tokenizer:ClipTokenizer",
        summary="CLIP's lower-cased byte-pair encoding, 49,408 ids",
    )
