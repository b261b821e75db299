"""The conformance kit: what every this_kind promises, tried on this one. The same as ``mmx plugins check``."""

import pytest

from mmx_kit import Conformance, checks_of


@pytest.mark.parametrize("check", checks_of("mmx_this_part"), ids=str)
def test_conforms(check: Conformance) -> None:
    check()
