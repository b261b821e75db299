"""Importing a plugin does nothing but define things, is quick, and needs no torch."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, cast

from mmx.plugin.entries import GROUP
from mmx.plugin.kinds import BUILT
from mmx_kit import probe
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check, NotApplicableError

LONGEST: Final = 1.0
"""Seconds of computing that importing an entry module may take, beyond that of mmx itself."""
_PATIENCE: Final = 120.0
_ALL: Final = BUILT


def _quiet(case: Case) -> None:
    found, (part, _) = _told(case), _reference(case)
    for what, told in ((f"the entry module {_entry(case)}", found["entry"]), (part, found["parts"][part])):
        if told["error"]:
            raise BrokenError(f"importing {what} fails in a fresh process: {told['error']}")
        if told["work"]:
            raise BrokenError(
                f"importing {what} does work: {'; '.join(told['work'][:3])}; importing defines things, and the part works "
                "when it is built and used"
            )


def _light(case: Case) -> None:
    told = _told(case)["entry"]
    if case.files:
        raise NotApplicableError("a single file may import torch; a package's entry module may not")
    if told["torch"]:
        raise BrokenError(
            f"importing the entry module {_entry(case)} imports torch, which listings and the check of a recipe do "
            "without; name the part as 'module:Class' in a module of its own, and import torch there"
        )
    if told["seconds"] > LONGEST:
        raise BrokenError(
            f"importing the entry module {_entry(case)} computes for {told['seconds']:.1f} s, more than {LONGEST:g} s"
        )


def _contract(case: Case) -> None:
    part = case.entry.load()
    if inspect.isabstract(part):
        missing = ", ".join(sorted(cast("frozenset[str]", getattr(part, "__abstractmethods__", frozenset()))))
        raise BrokenError(f"{case.entry.part} does not implement {missing} of {case.entry.row.contract}")


def _told(case: Case) -> Mapping[str, Any]:
    """Return what importing the whole package did; asked once for all of its parts."""
    own = {_reference(case)[0]} | {
        entry.part.partition(":")[0] for entry in case.registries if _beside(entry.owner, case)
    }
    return probed(_entry(case), tuple(sorted(own)), case.files, case.beside)


def _beside(owner: str, case: Case) -> bool:
    return owner == case.entry.owner


def _reference(case: Case) -> tuple[str, str]:
    module, _, name = case.entry.part.partition(":")
    return module, name


def _entry(case: Case) -> str:
    """Return the module of the entry point that the part belongs to; that of its file, or its package."""
    if case.files:
        return case.files[-1].stem
    package = _reference(case)[0].partition(".")[0]
    modules = {point.module for point in entry_points(group=GROUP)}
    own = sorted(module for module in modules if module.partition(".")[0] == package)
    return own[0] if own else package


@cache
def probed(
    entry: str, parts: tuple[str, ...], files: tuple[Path, ...], beside: tuple[Path, ...] = ()
) -> Mapping[str, Any]:
    """Return what importing an entry module, and then modules of its parts, did in a fresh process."""
    asked = {
        "entry": entry,
        "parts": parts,
        "files": [str(file) for file in files],
        "beside": [str(file) for file in beside],
    }
    path = os.pathsep.join(place for place in sys.path if place)
    done = subprocess.run(
        [sys.executable, "-P", "-B", str(probe.__file__)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    try:
        return cast("Mapping[str, Any]", json.loads(done.stdout))
    except ValueError:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BrokenError(f"importing {entry} ends the process: {reason[0]}") from None


IMPORT_CHECKS: Final = (
    Check("contract", "the part is a subclass of its kind's contract, and implements all of it", _ALL, _contract),
    Check("quiet import", "importing writes, prints, starts and changes nothing", _ALL, _quiet),
    Check("light import", "the entry module needs no torch, and is quick", _ALL, _light),
)
