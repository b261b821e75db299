"""The parts keep what mmx asks of every part."""

import pytest

from mmx_kit import Conformance, checks_of


@pytest.mark.parametrize("check", checks_of("mmx_geometry"), ids=str)
def test_conforms(check: Conformance) -> None:
    check()
