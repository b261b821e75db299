"""Our own parts pass the kit that other people's do."""

from collections.abc import Callable

import pytest

from mmx_kit import checks_of
from mmx_kit.catalogue import CHECKS


@pytest.mark.parametrize("check", checks_of("mmx"), ids=str)
def test_conforms(check: Callable[[], None]) -> None:
    check()


def test_every_check_is_about_a_part_of_ours() -> None:
    """A check that no part of ours meets would be one that nobody has seen pass."""
    met = {one.check.name for one in checks_of("mmx")}
    strangers = {check.name for check in CHECKS if check.kinds == ("kind",)}  # mmx-geometry brings a kind, mmx does not
    assert met == {check.name for check in CHECKS} - strangers
