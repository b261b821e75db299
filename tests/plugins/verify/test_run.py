"""What a layout is judged by."""

import math
from typing import Literal

import pytest

from mmx_verify.compare import BOUNDS, EXACT, Comparison, compare
from mmx_verify.plan import Precision
from mmx_verify.run import Exact, judged, rounds
from outcomes import later, outcome


def off(factor: float, precision: Literal["fp32", "bf16", "fp64"] = "fp32") -> Comparison:
    """Return a comparison where one gradient is scaled."""
    found = outcome(gradients=later(lambda step: {**step, "scale": step["scale"].astype("float64") * factor}))
    return compare(found, outcome(), EXACT if precision == "fp64" else BOUNDS[precision])


def test_a_layout_is_equal_in_its_own_precision_or_else_in_fp64() -> None:
    assert judged(off(1.0), None) == "equal"
    assert judged(off(1.5), None) == "DIFFERS"
    assert judged(off(1.5), Exact(off(1 + 1e-12, "fp64"))) == "equal"
    assert judged(off(1.5), Exact(off(1 + 1e-8, "fp64"))) == "DIFFERS"
    assert judged(off(1.5), Exact(off(1.5, "fp64"))) == "DIFFERS"
    assert judged(off(1.5), Exact(reason="RuntimeError: expected Float")) == "DIFFERS"


@pytest.mark.parametrize(
    ("factor", "precision", "asked"),
    [(1.0, "fp32", False), (1.01, "fp32", True), (3.0, "bf16", False), (math.nan, "fp32", False)],
)
def test_fp64_is_asked_only_where_fp32_may_have_rounded(factor: float, precision: Precision, asked: bool) -> None:
    assert rounds(off(factor, precision), precision) is asked


def test_what_is_missing_is_no_rounding() -> None:
    gone = compare(outcome(gradients=later(lambda step: {"scale": step["scale"]})), outcome(), BOUNDS["fp32"])
    assert not gone.equal and not rounds(gone, "fp32")
