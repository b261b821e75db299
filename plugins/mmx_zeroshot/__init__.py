"""Zero-shot classification: pictures against the names of classes, none of them labelled in training."""

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_zeroshot.config import ZeroShotConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the evaluator."""
    register(
        "evaluator",
        "zeroshot",
        config=ZeroShotConfig,
        part="mmx_zeroshot.evaluator:ZeroShot",
        summary="top-k accuracy of pictures against class names, with interval, chance and per-class results",
    )
