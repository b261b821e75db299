"""CLIP's parts pass the conformance kit with other options than the kit's example ones too, on one process."""

from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from mmx.plugin.manager import Plugins
from mmx_kit.case import Case
from mmx_kit.catalogue import CHECKS
from mmx_kit.check import Check

OPTIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vit with dropped patches": ("image_encoder", "vit", {"patch": 8, "patch_dropout": 0.5}),
    "vit without tokens": ("image_encoder", "vit", {"tokens": "pooled", "checkpointing": True, "activation": "gelu"}),
    "basic resnet": ("image_encoder", "modified_resnet", {"block": "basic", "pool": "mean", "stem": "single"}),
    "text that computes padding": ("text_encoder", "transformer", {"padding": "compute", "checkpointing": True}),
    "text as SigLIP reads it": (
        "text_encoder",
        "transformer",
        {"padding": "compute", "causal": False, "pool": "last"},
    ),
    "text without tokens": ("text_encoder", "transformer", {"tokens": "pooled"}),
    "fusion without an image map": ("fusion", "projection", {"project_image": False}),
    "loss with masked groups": ("loss", "clip", {"group": "group", "label_smoothing": 0.1}),
    "loss with positive groups": ("loss", "clip", {"group": "group", "same_group": "positive"}),
}
NAMES = (
    *("shapes", "blocks", "rows", "cosine", "scale", "declared", "determinism", "state", "inputs", "reached"),
    *("meta", "gradients", "bf16", "accumulation"),
)


def checks(kind: str) -> list[Check]:
    return [check for check in CHECKS if check.name in NAMES and kind in check.kinds]


@pytest.mark.parametrize("name", OPTIONS)
def test_it_conforms(name: str, tmp_path: Path) -> None:
    kind, part, options = OPTIONS[name]
    plugins = Plugins()
    entry = plugins.registries[kind][part]
    config = entry.config.example(part, tmp_path)
    case = Case(entry, config, tmp_path, plugins.registries)
    case = Case(entry, case.changed(options), tmp_path, plugins.registries)
    ran = 0
    for check in checks(kind):
        try:
            check.run(case)
        except SkipTest:
            continue
        ran += 1
    assert ran >= 8
