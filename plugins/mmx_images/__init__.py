"""From pictures and captions to rows: decoding, resizing, augmentation, caption choice, word masking."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_images.configs import AugmentConfig, CaptionConfig, EvalConfig, MismatchedConfig, MlmConfig, WarpConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the transforms."""
    register(
        "image_transform",
        "eval",
        config=EvalConfig,
        part="mmx_images.eval:Eval",
        summary="resize as the model's preprocessing says; the same picture gives the same pixels",
    )
    register(
        "image_transform",
        "augment",
        config=AugmentConfig,
        part="mmx_images.augment:Augment",
        summary="random crop; on request flip, rotation, shift, colour jitter, greyscale",
    )
    register(
        "image_transform",
        "warp",
        config=WarpConfig,
        part="mmx_images.warp:Warp",
        summary="for drawings on white: one affine map of places, one linear map of colours",
    )
    register(
        "text_transform",
        "caption",
        config=CaptionConfig,
        part="mmx_images.caption:Caption",
        summary="one of the sample's captions, at random or the first, optionally within a template",
    )
    register(
        "text_transform",
        "mismatched",
        config=MismatchedConfig,
        part="mmx_images.mismatched:Mismatched",
        summary="a caption of the sample or of another one, and the fact which it is, for image-text matching",
    )
    register(
        "text_transform",
        "mlm",
        config=MlmConfig,
        part="mmx_images.mlm:Mlm",
        summary="another text view with words masked, for masked language modelling",
    )
