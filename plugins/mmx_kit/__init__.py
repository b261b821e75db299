"""The conformance kit: what every part of a kind must do, checked the same way for our parts and for yours.

In a plugin's tests::

    import pytest
    from mmx_kit import Conformance, checks_of

    @pytest.mark.parametrize("check", checks_of("my_package"), ids=str)
    def test_conforms(check: Conformance) -> None:
        check()

On the command line: ``mmx plugins check my_package``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mmx_kit.check import BrokenError as BrokenError
    from mmx_kit.partners import sizes_of as sizes_of
    from mmx_kit.run import Conformance as Conformance
    from mmx_kit.run import Finding as Finding
    from mmx_kit.run import checks_of as checks_of
    from mmx_kit.stand_ins import small_model as small_model
    from mmx_kit.stand_ins import whole as whole

_MODULES: Final = {
    "BrokenError": "check",
    "Conformance": "run",
    "Finding": "run",
    "checks_of": "run",
    "sizes_of": "partners",
    "small_model": "stand_ins",
    "whole": "stand_ins",
}


def __getattr__(name: str) -> object:
    """Import a name when it is asked for: the command's help needs no torch."""
    if name in _MODULES:
        return getattr(import_module(f"mmx_kit.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'mmx_kit' has no attribute '{name}'")
