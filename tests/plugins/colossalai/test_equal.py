"""Every layout equals one process, in fp64: losses, gradients, norms, weights, optimizer state and embeddings."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from spread import Arrays, Case, Outcome, alone, train

from mmx.config import GroupTable
from mmx_kit.ranks import Ranks
from toys.systems import SYSTEMS

CLOSE = 1e-9
PATCHES = (("patch_dropout", 0.5),)
GROUPS = (
    ("image", GroupTable(match="image_encoder.*", lr=3e-3, layer_decay=0.5)),
    ("scale", GroupTable(match="fusion.*scale*", lr=1e-1)),
    ("first", GroupTable(match="text_encoder.layers.0.*", weight_decay=0.5)),
)
LAYOUTS: dict[str, tuple[dict[str, Any], Case]] = {
    "one process": ({}, Case("clip")),
    "dp2": ({}, Case("clip")),
    "dp2, accumulated": ({}, Case("clip", 4)),
    "tp2": ({"tensor": 2}, Case("clip", tower=PATCHES)),
    "tp2, checkpointing": ({"tensor": 2, "checkpointing": True}, Case("clip", tower=PATCHES)),
    "tp2, all tokens": ({"tensor": 2}, Case("clip", tower=(("tokens", "all"),))),
    "sp2": ({"tensor": 2, "sequence": "split_gather"}, Case("clip", tower=PATCHES)),
    "sp2, accumulated": ({"tensor": 2, "sequence": "split_gather"}, Case("clip", 2)),
    "pp2": ({"pipeline": 2}, Case("clip", 4, tower=PATCHES)),
    "tp2, frozen image tower": ({"tensor": 2}, Case("clip", 2, tower=(("train", "frozen"),))),
    "pp2, frozen image tower": ({"pipeline": 2}, Case("clip", 4, tower=(("train", "frozen"),))),
    "a merged encoder, pp2": ({"pipeline": 2}, Case("merged", 4)),
    "a merged encoder, tp2": ({"tensor": 2}, Case("merged")),
    "a loss that begins later, dp2": ({}, Case("late")),
    "a loss that begins later, dp2, accumulated": ({}, Case("late", 4)),
    "a tied head, dp2": ({}, Case("tied")),
    "a ResNet, dp2": ({}, Case("clip", tower=(("resnet", True),))),
    "tp2 x dp2": ({"tensor": 2}, Case("clip")),
    "tp2 x pp2": ({"tensor": 2, "pipeline": 2}, Case("clip", 4, tower=PATCHES)),
    "sp2 x pp2": ({"tensor": 2, "pipeline": 2, "sequence": "split_gather"}, Case("clip", 4, tower=PATCHES)),
    "pp2 x dp2": ({"pipeline": 2}, Case("clip", 4)),
    "tp2, groups": ({"tensor": 2}, Case("clip", groups=GROUPS)),
    "pp2, groups": ({"pipeline": 2}, Case("clip", 4, groups=GROUPS)),
    "tp2, sgd": ({"tensor": 2}, Case("clip", optimizer="sgd", groups=GROUPS)),
    "tp2, lion": ({"tensor": 2}, Case("clip", optimizer="lion")),
    "pp2, sgd": ({"pipeline": 2}, Case("clip", 4, optimizer="sgd")),
    "pp2, lion": ({"pipeline": 2}, Case("clip", 4, optimizer="lion")),
    "dp2, lamb": ({}, Case("clip", optimizer="lamb", groups=GROUPS)),
    "pp2, lamb": ({"pipeline": 2}, Case("clip", 4, optimizer="lamb")),
}


@cache
def expected(case: Case) -> Outcome:
    return alone(case)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_equals_one_process(name: str, two: Ranks, four: Ranks) -> None:
    options, case = LAYOUTS[name]
    count = 1 if name == "one process" else 4 if " x " in name else 2
    found = train(case, options) if count == 1 else (four if count == 4 else two)(train, case, options)[0]
    assert found is not None
    same(found, expected(case), but="qkv.bias" if case.optimizer == "lion" else "")


@pytest.mark.parametrize("micro_batches", [1, 2])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_is_data_parallel(system: str, micro_batches: int, two: Ranks) -> None:
    case = Case(system, micro_batches)
    found = two(train, case, {})[0]
    assert found is not None
    same(found, expected(case))


def same(found: Outcome, wanted: Outcome, but: str = "") -> None:
    """Compare; what Lion does to the bias of keys, on which nothing depends, is the sign of a rounding error."""
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=CLOSE)
    np.testing.assert_allclose(found.norms, wanted.norms, rtol=CLOSE)
    assert wanted.losses[0] != wanted.losses[-1] and wanted.norms[0] > 0.5  # it learns, and was clipped
    for mine, theirs in zip(found.gradients, wanted.gradients, strict=True):
        close(mine, theirs)
    close(left(found.weights, but), left(wanted.weights, but))
    close(found.state, wanted.state)
    close(found.embeddings, wanted.embeddings)


def left(values: Arrays, but: str) -> Arrays:
    return {name: value for name, value in values.items() if not but or but not in name}


def close(found: Arrays, wanted: Arrays) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape, name
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=CLOSE, err_msg=name)
