"""Entry points: which plugins are installed, judged by their metadata alone, so that reading them imports nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Final, Literal

API_LEVEL: Final = 1
"""The plugin interface this core speaks; a plugin says which one it speaks by its group's name."""
PREFIX: Final = "mmx.plugins.v"


@dataclass(frozen=True)
class PluginEntry:
    """A plugin as its metadata describes it, and what became of it."""

    name: str
    """The entry point's name, or the name it was given."""
    module: str = ""
    distribution: str = ""
    version: str = ""
    status: Literal["usable", "broken", "incompatible"] = "usable"
    reason: str = ""
    """Why it cannot be used; empty if it can."""

    @property
    def owner(self) -> str:
        """What messages call it: distribution, version and entry point, as far as it has them."""
        return f"{self.distribution} {self.version} ({self.name})" if self.distribution else self.name

    def load(self) -> object:
        """Import the entry module."""
        return EntryPoint(self.name, self.module, PREFIX).load()


def installed() -> Iterator[PluginEntry]:
    """Yield the plugins of every distribution, those first whose names come first; nothing is imported."""
    found: dict[str, list[PluginEntry]] = {}
    for distribution in distributions():
        text = _read(distribution)
        if PREFIX in text:
            # The first on the path is the one that Python imports; a second is left over from another install.
            name = _field(distribution, "Name")
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), list(_entries(distribution, name)))
    for name in sorted(found):
        yield from sorted(found[name], key=lambda entry: entry.name)


def _entries(distribution: Distribution, name: str) -> Iterator[PluginEntry]:
    version = _field(distribution, "Version")
    try:
        points = [point for point in distribution.entry_points if point.group.startswith(PREFIX)]
    except Exception as error:
        reason = f"its entry_points.txt cannot be read ({type(error).__name__}: {error}); install it again"
        yield PluginEntry("?", "", name, version, "broken", reason)
        return
    for point in points:
        level = point.group.removeprefix(PREFIX)
        if level == str(API_LEVEL):
            yield PluginEntry(point.name, point.value, name, version)
        else:
            reason = f"it speaks plugin interface {level}, this mmx speaks {API_LEVEL}; install a version that fits"
            yield PluginEntry(point.name, point.value, name, version, "incompatible", reason)


def _read(distribution: Distribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError):
        return ""


def _field(distribution: Distribution, key: str) -> str:
    try:
        return distribution.metadata[key] or "unknown"
    except Exception:  # What importlib raises for missing metadata differs by Python version.
        return "unknown"
