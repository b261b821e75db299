"""The parts keep what mmx asks of every part."""

import pytest

from mmx_kit import Conformance, checks_of

MEDIAN = checks_of("mmx-geometry", "evaluator.modality_gap", centre={"name": "median"})


@pytest.mark.parametrize("check", [*checks_of("mmx-geometry"), *MEDIAN], ids=str)
def test_conforms(check: Conformance) -> None:
    check()
