"""Registers the part. This module and the options do not import torch; the part itself may."""

import mmx
from mmx.plugin.registry import Registrar
from mmx_scaffold.templates.loss.config import ThisPartConfig


@mmx.hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the part: kind, name, options, class and one line about it."""
    register(
        "this_kind",
        "this-part",
        config=ThisPartConfig,
        part="mmx_this_part.this_file:ThisPart",
        summary="this_summary",
    )
