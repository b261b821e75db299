"""The names of one kind of part: which there are, who claims them, and what is said of one that cannot be used."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from mmx.errors import PluginError
from mmx.plugin.kinds import Entry

Claim = tuple[str, str]
"""A part's name and its owner."""


@dataclass(frozen=True)
class Refusal:
    """Why a name cannot be used."""

    text: str
    plugin: bool
    """Whether a plugin is to blame rather than whoever wrote the name."""


class Source(ABC):
    """Knows what plugins list in their metadata, and imports one when a part of it is asked for."""

    @abstractmethod
    def listed(self, kind: str) -> Mapping[str, Sequence[str]]:
        """Return the owners that list a part of this kind, by the part's name."""

    @abstractmethod
    def summon(self, owner: str) -> str:
        """Import a plugin, once. Return why it cannot be used, or nothing."""

    @abstractmethod
    def enable(self, module: str) -> str:
        """Import the plugin of a module, once. Return why it cannot be used, or nothing."""


class Nowhere(Source):
    """No plugin is installed: there is what was registered."""

    @override
    def listed(self, kind: str) -> Mapping[str, Sequence[str]]:
        return {}

    @override
    def summon(self, owner: str) -> str:
        return ""

    @override
    def enable(self, module: str) -> str:
        return f"no plugin '{module}' is installed"


@dataclass
class Registry:
    """The parts of one kind, by name. A name that two owners claim belongs to neither.

    A part is known by its plugin's metadata; the plugin is imported when the part is asked for.
    """

    kind: str
    source: Source
    entries: dict[Claim, Entry] = field(default_factory=dict[Claim, Entry])
    hidden: set[Claim] = field(default_factory=set[Claim])
    """Claims that another owner was preferred to."""

    def __iter__(self) -> Iterator[Entry]:
        """Yield the parts that can be used; imports every plugin that has one of this kind."""
        return iter([self[name] for name in self.names() if self.refusal(name) is None])

    def __contains__(self, name: str) -> bool:
        return self.refusal(name) is None

    def __getitem__(self, name: str) -> Entry:
        refusal = self.refusal(name)
        if refusal:
            raise PluginError(refusal.text)
        return self.entries[name, self.owners(name)[0]]

    def names(self) -> list[str]:
        """Return the names there are; imports nothing."""
        return sorted({*self.source.listed(self.kind), *(entry.name for entry in self.entries.values())})

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            PluginError: its owner registered the name already.
        """
        if (entry.name, entry.owner) in self.entries:
            raise PluginError(f"{entry.owner} registers the {self.kind} '{entry.name}' twice")
        self.entries[entry.name, entry.owner] = entry

    def drop(self, owner: str) -> None:
        """Forget what an owner registered."""
        self.entries = {claim: entry for claim, entry in self.entries.items() if entry.owner != owner}

    def prefer(self, name: str, owner: str, others: Collection[str]) -> list[str]:
        """Give a name to one owner, in place of those of the others that claim it; return these."""
        hidden = [other for other in self.owners(name) if other != owner and other in others]
        self.hidden |= {(name, other) for other in hidden}
        return hidden

    def clashes(self) -> list[str]:
        """Return a line on every name that two plugins claim; imports nothing."""
        return [self._clash(name) for name in self.names() if len(self.owners(name)) > 1]

    def refusal(self, name: str) -> Refusal | None:
        """Say why a name cannot be used and which one may have been meant; None if it can. Imports its plugin."""
        owners = self.owners(name)
        if len(owners) > 1:
            return Refusal(self._clash(name), plugin=True)
        if not owners:
            return Refusal(self._unknown(name), plugin=False)
        reason = self.source.summon(owners[0])
        if reason:
            return Refusal(f"the {self.kind} '{name}' is of {owners[0]}, which cannot be used: {reason}", plugin=True)
        return None

    def owners(self, name: str) -> list[str]:
        """Return who claims a name; imports nothing."""
        registered = (owner for known, owner in self.entries if known == name)
        claims = {*self.source.listed(self.kind).get(name, ()), *registered}
        return sorted(owner for owner in claims if (name, owner) not in self.hidden)

    def _clash(self, name: str) -> str:
        both = " and ".join(self.owners(name))
        return f"two plugins register the {self.kind} '{name}': {both}; uninstall or leave out one of them"

    def _unknown(self, name: str) -> str:
        names = self.names()
        close = difflib.get_close_matches(name, names, n=1)
        known = f"(known: {', '.join(names) or 'none'})"
        if close:
            return f"no {self.kind} '{name}'; did you mean '{close[0]}'? {known}"
        return f"no {self.kind} '{name}' {known}; is its plugin installed (mmx plugins), or one file (--plugin FILE)?"
