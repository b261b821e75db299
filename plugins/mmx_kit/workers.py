"""Parts that travel to data workers arrive as they were sent."""

import pickle
from typing import Final

from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.elsewhere import elsewhere
from mmx_kit.uses import TRAVELLING, fresh, is_derived, made


def _spawned(case: Case) -> None:
    here = made(case.kind, fresh(case), is_derived(case))
    part = fresh(case)
    there = _sent(case, part, "when it is built")
    if there != here:
        raise BrokenError(f"a spawned process makes something else of the same inputs ({_first(there, here)})")
    made(case.kind, part, is_derived(case))
    used = _sent(case, part, "after it was used")
    if used != here:
        raise BrokenError(f"sent to a process after it was used, it makes something else ({_first(used, here)})")


def _sent(case: Case, part: object, when: str) -> object:
    """Return what a spawned process makes of the inputs with the part."""
    try:
        pickle.dumps(part)
    except Exception as error:
        raise BrokenError(
            f"it cannot be pickled {when} ({type(error).__name__}: {error}), so no spawned data worker can have it; "
            "open files lazily and leave them out in __getstate__, and keep functions at the top of a module"
        ) from error
    return elsewhere()(made, case.kind, part, is_derived(case))


def _first(found: object, expected: object) -> str:
    """Name the first input whose result differs."""
    if isinstance(found, tuple) and isinstance(expected, tuple) and len(found) == len(expected):
        place = next(i for i, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other)
        return f"first at input {place}"
    return "another number of results"


WORKER_CHECKS: Final = (
    Check("spawned workers", "it is picklable, and a spawned process makes the same of it", TRAVELLING, _spawned),
)
