"""Every layout equals one process, in fp64: losses, gradients, norms, weights, optimizer state and embeddings."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from spread import Arrays, Case, Outcome, alone, train

from mmx_kit.ranks import Ranks
from toys.systems import SYSTEMS

CLOSE = 1e-9
PATCHES = (("patch_dropout", 0.5),)
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
    "pp2, frozen image tower": ({"pipeline": 2}, Case("clip", 4, tower=(("train", "frozen"),))),
    "a ResNet, dp2": ({}, Case("clip", tower=(("resnet", True),))),
    "tp2 x dp2": ({"tensor": 2}, Case("clip")),
    "tp2 x pp2": ({"tensor": 2, "pipeline": 2}, Case("clip", 4, tower=PATCHES)),
    "sp2 x pp2": ({"tensor": 2, "pipeline": 2, "sequence": "split_gather"}, Case("clip", 4, tower=PATCHES)),
    "pp2 x dp2": ({"pipeline": 2}, Case("clip", 4)),
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
    same(found, expected(case))


@pytest.mark.parametrize("micro_batches", [1, 2])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_is_data_parallel(system: str, micro_batches: int, two: Ranks) -> None:
    case = Case(system, micro_batches)
    found = two(train, case, {})[0]
    assert found is not None
    same(found, expected(case))


def same(found: Outcome, wanted: Outcome) -> None:
    np.testing.assert_allclose(found.losses, wanted.losses, rtol=CLOSE)
    np.testing.assert_allclose(found.norms, wanted.norms, rtol=CLOSE)
    assert wanted.losses[0] != wanted.losses[-1] and wanted.norms[0] > 0.5  # it learns, and was clipped
    for mine, theirs in zip(found.gradients, wanted.gradients, strict=True):
        close(mine, theirs)
    close(found.weights, wanted.weights)
    close(found.state, wanted.state)
    close(found.embeddings, wanted.embeddings)


def close(found: Arrays, wanted: Arrays) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape, name
        np.testing.assert_allclose(found[name], value, rtol=1e-7, atol=CLOSE, err_msg=name)
