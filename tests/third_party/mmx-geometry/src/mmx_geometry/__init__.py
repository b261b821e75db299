"""The geometry of a shared space: alignment and uniformity as a loss, the gap between modalities as a number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import mmx
from mmx.plugin.kinds import Kind
from mmx_geometry.configs import (
    GeometryFormatConfig,
    MedianConfig,
    ModalityGapConfig,
    NormalisedConfig,
    StairsConfig,
    UniformConfig,
)

if TYPE_CHECKING:
    from mmx.parts.evaluator import Result
    from mmx.parts.events import Run
    from mmx.plugin.registry import Registrar


@mmx.hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the parts, and the kind of one of them."""
    register.kind(Kind("centre", "mmx_geometry.centres:Centre", "where the centre of points is"))
    register(
        "centre",
        "median",
        config=MedianConfig,
        part="mmx_geometry.centres:Median",
        summary="the median of each coordinate",
    )
    register(
        "loss",
        "uniform",
        config=UniformConfig,
        part="mmx_geometry.loss:Uniform",
        summary="pairs close together, all else spread evenly over the sphere",
    )
    register(
        "evaluator",
        "modality_gap",
        config=ModalityGapConfig,
        part="mmx_geometry.gap:ModalityGap",
        summary="how far the centres of images and of texts lie apart",
    )
    register(
        "optimizer",
        "normalised",
        config=NormalisedConfig,
        part="mmx_geometry.optimizers:Normalised",
        summary="steps of one length along each tensor's gradient",
    )
    register(
        "schedule",
        "stairs",
        config=StairsConfig,
        part="mmx_geometry.schedules:Stairs",
        summary="a rate that falls by a factor every so many steps",
    )
    register(
        "weights",
        "geometry",
        config=GeometryFormatConfig,
        part="mmx_geometry.weights:GeometryFormat",
        summary="geometry.json, and tensors of eye, ear and space",
    )


@mmx.hookimpl
def mmx_evaluation_end(run: Run, step: int, results: dict[str, Result]) -> None:
    """Add a line to ``geometry.jsonl`` in the run folder: the step, and each gap by its evaluator's name."""
    gaps = {name: result.numbers["gap"].value for name, result in results.items() if "gap" in result.numbers}
    with (run.folder / "geometry.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **gaps}) + "\n")
