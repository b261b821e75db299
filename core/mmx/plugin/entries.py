"""Entry points: which plugins are installed and what they register, by their metadata alone; reading them imports nothing.

In the group ``mmx.plugins.v1``, a key ``KIND.NAME`` says that the module registers that part, and ``kind.NAME`` that it
brings that kind. ``command.NAME`` names a command itself, as ``module:function``. A key without a kind names a module that
has hooks only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Final, Literal

from mmx.plugin.kinds import KINDS, REFERENCE

API_LEVEL: Final = 1
"""The plugin interface this core speaks; a plugin says which one it speaks by its group's name."""
PREFIX: Final = "mmx.plugins.v"
GROUP: Final = f"{PREFIX}{API_LEVEL}"

_NEAR: Final = re.compile(r"mmx[._-]?plugins?.*", re.IGNORECASE)
"""Groups that are meant for mmx: one that is written wrong would be as if it were not there."""
_ABOUT: Final = re.compile(rf"^\[{_NEAR.pattern}\]", re.IGNORECASE | re.MULTILINE)

Part = tuple[str, str]
"""Kind and name."""


@dataclass(frozen=True)
class PluginEntry:
    """A plugin as its metadata describes it, and what became of it."""

    module: str
    """The module with its hooks, or the name or file that it was given by."""
    distribution: str = ""
    version: str = ""
    parts: tuple[Part, ...] = ()
    """Kind and name of each part that it registers."""
    status: Literal["listed", "loaded", "broken", "incompatible"] = "listed"
    """"listed" is what its metadata says and nobody has imported yet."""
    reason: str = ""
    """Why it cannot be used; empty if it can."""
    hooks: tuple[str, ...] = ()
    """The hooks that its module implements; known once it is loaded."""
    deprecated: tuple[str, ...] = ()
    """What it uses of the interface that will go; known once it is loaded."""

    @property
    def owner(self) -> str:
        """What messages call it: distribution, version and module, as far as it has them."""
        return f"{self.distribution} {self.version} ({self.module})" if self.distribution else self.module

    @property
    def usable(self) -> bool:
        """Whether nothing is known to be wrong with it."""
        return self.status in ("listed", "loaded")

    def load(self) -> object:
        """Import the module; of a command, which has none with hooks, return what registers it."""
        if ":" in self.module:
            from mmx.plugin.commands import Registers

            return Registers(self)
        return EntryPoint(self.module, self.module, GROUP).load()


def installed() -> Iterator[PluginEntry]:
    """Yield the plugins of every distribution, those first whose names come first; nothing is imported."""
    found: dict[str, list[PluginEntry]] = {}
    for distribution in distributions():
        text = _read(distribution)
        if _ABOUT.search(text):
            # The first on the path is the one that Python imports; a second is left over from another install.
            name = _field(distribution, "Name")
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), list(_entries(distribution, name)))
    entries = [entry for name in sorted(found) for entry in sorted(found[name], key=lambda entry: entry.module)]
    brought = [name for entry in entries for kind, name in entry.parts if kind == "kind"]
    for entry in entries:
        yield _with_known_kinds(entry, list(dict.fromkeys([*KINDS, *brought])))


def _with_known_kinds(entry: PluginEntry, kinds: Sequence[str]) -> PluginEntry:
    unknown = [f"{kind}.{name}" for kind, name in entry.parts if kind not in kinds]
    if not unknown or not entry.usable:
        return entry
    reason = f"its metadata lists {unknown[0]}, but there is no such kind of part; kinds are {', '.join(kinds)}"
    return replace(entry, status="broken", reason=reason)


def _entries(distribution: Distribution, name: str) -> Iterator[PluginEntry]:
    version = _field(distribution, "Version")
    try:
        points = [point for point in distribution.entry_points if _NEAR.fullmatch(point.group)]
    except Exception as error:
        reason = f"its entry_points.txt cannot be read ({type(error).__name__}: {error}); install it again"
        yield PluginEntry("?", name, version, status="broken", reason=reason)
        return
    # One that speaks several interfaces is used by the one that this core speaks.
    spoken = [point for point in points if point.group == GROUP] or points
    for module in dict.fromkeys(point.value for point in spoken):
        own = [point for point in spoken if point.value == module]
        yield _entry(PluginEntry(module, name, version), own)


def _entry(bare: PluginEntry, points: Sequence[EntryPoint]) -> PluginEntry:
    keys = [point.name.partition(".") for point in points]
    parts = tuple(sorted((kind, name) for kind, dot, name in keys if dot))
    group = points[0].group
    level = group.removeprefix(PREFIX)
    commands = [point.name for point, (kind, _, _) in zip(points, keys, strict=True) if kind == "command"]
    if commands and not (REFERENCE.fullmatch(bare.module) and len(commands) == len(points)):
        module = bare.module.partition(":")[0]
        reason = f'a command is named as \'module:function\', such as "{commands[0]}" = "{module}:main"'
        return PluginEntry(bare.module, bare.distribution, bare.version, parts, "broken", reason)
    if ":" in bare.module and not commands:
        module = bare.module.partition(":")[0]
        reason = f'an entry point names a module, not what is in it: write "{points[0].name}" = "{module}"'
        return PluginEntry(bare.module, bare.distribution, bare.version, parts, "broken", reason)
    if not group.startswith(PREFIX):
        reason = f"its entry points are in the group '{group}'; mmx reads '{GROUP}': rename it, and install it again"
        return PluginEntry(bare.module, bare.distribution, bare.version, (), "broken", reason)
    if level != str(API_LEVEL):
        reason = f"it speaks plugin interface {level}, this mmx speaks {API_LEVEL}; install a version that fits"
        return PluginEntry(bare.module, bare.distribution, bare.version, parts, "incompatible", reason)
    return PluginEntry(bare.module, bare.distribution, bare.version, parts)


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
