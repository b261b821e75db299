"""What is found, and how it is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Final, Literal

GIB: Final = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    section: str
    name: str
    value: str
    state: Literal["ok", "note", "problem"] = "ok"
    """"note" works but may not be what was wanted; "problem" has to be mended before something works."""
    advice: str = ""
    """What to do; empty where there is nothing to do."""


Check = Callable[[], Iterator[Finding]]


def unless(good: bool, section: str, name: str, value: str, advice: str) -> Finding:
    """Return a finding that is ok where it is good, and otherwise a note with the advice."""
    return Finding(section, name, value) if good else Finding(section, name, value, "note", advice)


def size(count: int) -> str:
    """Return a count of bytes in words."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / (1 << 20):,.0f} MiB"


def install(wanted: str, *options: str) -> str:
    """Return the line that installs a package, or the versions of one that are wanted."""
    quoted = wanted if re.fullmatch(r"[\w.-]+", wanted) else f"'{wanted}'"
    return " ".join(["pip install", *options, quoted])


def requirement(package: str) -> str:
    """Return what mmx requires of a package: its name with the versions that fit."""
    return next((text for text in requirements() if re.match(rf"{package}\b(?!-)", text)), package)


def requirements() -> Sequence[str]:
    """Return what the installed mmx requires, in all its options."""
    try:
        return metadata.requires("mmx") or ()
    except metadata.PackageNotFoundError:
        return ()
