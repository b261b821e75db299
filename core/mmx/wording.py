"""How numbers, times, paths and names are written for people, the same in the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports torch, and messages that need none are written here too
    from mmx.parts.evaluator import Number
    from mmx.recipe.schema import Recipe


def is_fraction(number: Number) -> bool:
    """Say whether a number is a fraction of something, and so is written in percent."""
    judged = [bound for bound in (number.low, number.high, number.chance) if bound is not None]
    return bool(judged) and all(0 <= bound <= 1 for bound in (number.value, *judged))


def percent(fraction: float) -> str:
    """Write a fraction in percent; small ones keep two digits that say something."""
    value = 100 * fraction
    if not math.isfinite(value):
        return str(value)
    if value == 0 or abs(value) >= 1:
        return f"{value:.1f} %"
    return f"{value:.2f} %" if abs(value) >= 0.01 else f"{value:.1g} %"


def decimal(value: float) -> str:
    """Write a plain number with four digits that count."""
    return f"{value:,.0f}" if math.isfinite(value) and abs(value) >= 10_000 else f"{value:.4g}"


def value(number: Number) -> str:
    """Write what was measured."""
    return percent(number.value) if is_fraction(number) else decimal(number.value)


def interval(number: Number) -> str:
    """Write the 95 % interval, empty where there is none."""
    if number.low is None or number.high is None:
        return ""
    if is_fraction(number):
        return f"{percent(number.low).removesuffix(' %')} to {percent(number.high)}"
    return f"{decimal(number.low)} to {decimal(number.high)}"


def chance(number: Number) -> str:
    """Write what guessing gives, empty where that is not known."""
    if number.chance is None:
        return ""
    return percent(number.chance) if is_fraction(number) else decimal(number.chance)


def clock(seconds: float) -> str:
    """Write a time as ``m:ss`` or ``h:mm:ss``; a time that is not known yet as ``-:--``."""
    if not math.isfinite(seconds) or seconds < 0:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Write a time in words: ``42 s``, ``2 min 33 s``, ``5 h 12 min``."""
    if not math.isfinite(seconds) or seconds < 0:
        return "an unknown time"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def many(count: int) -> str:
    """Write a large count short: ``950``, ``12,345``, ``1.02 M``."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:,}"


def summed(recipe: Recipe) -> str:
    """Name the losses whose weighted sum a recipe trains: ``contrastive (clip, weight 1)``."""
    return ", ".join(f"{key} ({loss.name}, weight {loss.weight:g})" for key, loss in recipe.losses.items())


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 step``, ``12,345 steps``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def printable(text: str) -> str:
    """Make text safe for a terminal: whatever is not printable becomes an escape."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def short(path: Path) -> str:
    """Write a path as seen from the current folder where it lies below it, in full otherwise."""
    full, here = path.absolute(), Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)


def headline_first(headline: str, names: Iterable[str]) -> list[str]:
    """Order the names of numbers: the headline, then the others as they came."""
    return sorted(names, key=lambda name: name != headline)
