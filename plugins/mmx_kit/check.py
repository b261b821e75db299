"""What a check is, and how it says that a part breaks its contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from unittest import SkipTest

from mmx.plugin.kinds import BUILT, KINDS

if TYPE_CHECKING:
    from mmx_kit.case import Case


DETERMINISM: Final = "determinism"
"""The check on which all rest that compare runs of a tower, a fusion or a loss."""


class BrokenError(AssertionError):
    """A part breaks its contract. The message says what was expected and what was found."""


class NotApplicableError(SkipTest):
    """A check says nothing about this part; the message says why. Pytest shows it as skipped."""


@dataclass(frozen=True)
class Check:
    """One property that every part of some kinds has."""

    name: str
    """Short, as the table shows it: "accumulation"."""
    about: str
    """One line: what must hold."""
    kinds: tuple[str, ...]
    """The kinds of part it is about; :data:`mmx.plugin.kinds.BUILT` means those of plugins too."""
    run: Callable[[Case], None]
    """Raises BrokenError or NotApplicableError; any other exception is the part's own, and breaks it too."""
    after: str = ""
    """The check without which this one says nothing: it compares runs, which are alike only if that one holds."""

    def applies(self, kind: str) -> bool:
        """Say whether it is about parts of a kind."""
        return kind in self.kinds or (self.kinds == BUILT and kind not in KINDS)
