"""The table, and the document."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mmx.config import EngineConfig
from mmx_verify import table
from mmx_verify.compare import BOUNDS, EXACT, compare
from mmx_verify.plan import Trial
from mmx_verify.run import Exact, Reference, Row, judged
from outcomes import changed, later, outcome

LONG = "model.image_encoder." + "layers.11.attention." * 5 + "weight"


def trial(name: str = "tp2xdp2", **options: Any) -> Trial:
    return Trial(name, EngineConfig(name="many"), 4, 16, "bf16", options)


def row(name: str = "tp2xdp2", **changes: Any) -> Row:
    found = outcome(**changes)
    compared = compare(found, outcome(), BOUNDS["bf16"])
    return Row(trial(name), "equal" if compared.equal else "DIFFERS", 123.4, found, compared)


def again(factor: float) -> Row:
    """Return a layout in fp32 that differs, a gradient of which is scaled in fp64."""
    found = outcome(gradients=later(lambda step: changed(step, "tower.bias", 1.5)))
    scaled = outcome(gradients=later(lambda step: {**step, "scale": step["scale"].astype(np.float64) * factor}))
    compared, exact = compare(found, outcome(), BOUNDS["fp32"]), Exact(compare(scaled, outcome(), EXACT), 2.0)
    return Row(replace(trial(), precision="fp32"), judged(compared, exact), 1.0, found, compared, exact=exact)


def width(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_a_row_says_how_far_off_and_which_gradient_is_furthest() -> None:
    found = row(gradients=later(lambda step: changed(step, "tower.bias", 1.001)))
    first, note = table.lines(found).splitlines()
    assert first == "tp2xdp2                     4 x 16        0   1.0e-03        0  equal   123.4 s"
    assert note == "  gradient tower.bias at step 2"
    assert width(table.heading()) == len(first) == 79


def test_a_row_that_differs_says_all_that_is_too_far_off() -> None:
    weights = {**outcome().weights, LONG: outcome().weights["scale"]}
    shown = table.lines(
        row(gradients=later(lambda step: changed(step, "scale", 2)), weights=weights, losses=(3.0, 9.0, 2.0))
    )
    assert "  DIFFERS" in shown.splitlines()[0] and " inf " in shown.splitlines()[0]
    assert "\n  gradient scale at step 2\n  weight model.image_encoder." in shown
    assert " ".join(shown.split()).endswith("one process has none loss at step 2") and width(shown) <= 80


def test_what_differs_in_fp32_and_not_in_fp64_is_equal_and_says_so() -> None:
    first, *notes = table.lines(again(1 + 1e-12)).splitlines()
    assert first == "tp2xdp2                     4 x 16        0   5.0e-01        0  equal     1.0 s"
    assert notes == [
        "  gradient tower.bias at step 2",
        "  rounding in fp32 came to 5.0e-01 here; in fp64 it is equal to 1.0e-12",
    ]


def test_what_differs_in_fp64_too_says_by_how_much() -> None:
    first, *notes = table.lines(again(1.25)).splitlines()
    assert "  DIFFERS" in first and notes == [
        "  gradient tower.bias at step 2",
        "  in fp64 too: loss 0, gradients 2.5e-01, weights 0; at most 1e-09",
    ]
    stuck = table.lines(replace(again(1.25), exact=Exact(reason="RuntimeError: expected Float")))
    assert stuck.endswith("cannot run: RuntimeError:\n    expected Float") and width(stuck) <= 80


def test_a_refusal_has_its_reason_under_it_and_the_same_one_only_once() -> None:
    told: dict[str, str] = {}
    reason = (
        "parallel.tensor = 2: the image_encoder (ModifiedResNet) has no block that says how it is cut, so set it to 1"
    )
    shown = table.lines(Row(trial("tp2"), "refused", 1.0, reason=reason), told)
    head, *rest = shown.splitlines()
    assert head.split() == ["tp2", "4", "x", "16", "refused:"]
    assert " ".join(" ".join(rest).split()) == reason and width(shown) <= 80
    assert table.lines(Row(trial("sp2"), "refused", 1.0, reason=reason), told).endswith("  refused, as tp2")
    failed = table.lines(Row(trial("a" * 40), "failed", 1.0, reason="ZeroDivisionError: by zero"), told)
    assert failed.splitlines()[0] == "a" * 40 and failed.endswith("failed:\n  ZeroDivisionError: by zero")


def test_every_part_fits_80_columns() -> None:
    assert width(table.bound("bf16", BOUNDS["bf16"])) <= 80
    assert width(table.losses(Reference("bf16", outcome(losses=(1234.56789,) * 12), 100.0))) <= 80
    assert width(table.listing([trial("a" * 40, sequence="split_gather" * 4, other="x" * 40), trial(tensor=2)])) <= 80


def test_the_listing_has_the_options_as_a_recipe_would() -> None:
    shown = table.listing([trial("tp2", tensor=2, sequence="none")])
    assert shown.splitlines()[1].split() == ["tp2", "4", "x", "16"]
    assert shown.splitlines()[2] == '  engine = "many", tensor = 2, sequence = "none"'


def test_results_are_counted() -> None:
    refused = Row(trial(), "refused", 1.0, reason="no")
    differs = row(losses=(9.0, 9.0, 9.0))
    assert table.summary([row(), refused, row()]) == "2 equal, 1 refused"
    assert table.summary([differs]) == "1 DIFFERS" and table.summary([differs, differs]) == "2 DIFFER"
    assert [one.good for one in (row(), refused, differs, Row(trial(), "failed", 1.0))] == [True, True, False, False]


def test_the_document_holds_numbers_that_are_not_finite_as_texts() -> None:
    found = table.plain_row(row(losses=(3.0, math.nan, 2.0)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["losses"] == [3.0, "nan", 2.0]
    assert found["loss"] == {"value": "inf", "name": "", "step": 2, "why": "is not finite", "bound": 0.02}
    assert (found["layout"], found["processes"], found["micro_batches"]) == ("tp2xdp2", 4, 16)
    assert "fp64" not in found
    both = table.plain_row(again(1.25))
    assert (both["gradients"]["value"], both["gradients"]["bound"]) == (pytest.approx(0.5), 1e-4)
    assert (both["fp64"]["gradients"]["name"], both["fp64"]["gradients"]["bound"]) == ("scale", 1e-9)
    assert both["fp64"]["seconds"] == 2.0 and both["fp64"]["gradients"]["value"] == pytest.approx(0.25)
    refused = table.plain_row(Row(trial(), "refused", 1.0, reason="no"))
    assert (refused["result"], refused["reason"]) == ("refused", "no")


def test_what_the_recipe_at_its_own_size_refuses_is_named_once_a_reason() -> None:
    results = (("a", "equal"), ("b", "equal"), ("c", "refused"))
    rows: Any = [SimpleNamespace(trial=SimpleNamespace(name=name), result=result) for name, result in results]
    shown = table.at_size({"a": "too long", "b": "too long", "c": "other"}, rows)
    assert shown == "the recipe at its own size refuses\n  a, b: too long"
    assert table.at_size({"c": "other"}, rows) == "" and table.at_size({}, rows) == ""
