"""Registries: which parts there are, by kind and name, and the door through which a plugin adds to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError
from typing_extensions import override

from mmx.config import Choices, PartConfig
from mmx.errors import PluginError
from mmx.plugin.claims import Claim, Refusal, Registry
from mmx.plugin.claims import Nowhere as Nowhere
from mmx.plugin.claims import Source as Source
from mmx.plugin.kinds import KIND_NAME, KINDS, NAME, REFERENCE, Entry, Kind


class Registries(Choices):
    """All registries, one for each kind, and the door through which a plugin adds to them."""

    def __init__(self, source: Source | None = None) -> None:
        self.source = source or Nowhere()
        self._made: dict[str, Registry] = {kind: Registry(kind, self.source) for kind in KINDS}
        self._rows: dict[Claim, Kind] = {}
        """Kinds that plugins brought, by name and owner."""

    @property
    def kinds(self) -> Mapping[str, Registry]:
        """The registries of every kind: those of the core, and those that plugins list or registered; imports nothing."""
        for kind in self._made["kind"].names():
            self._made.setdefault(kind, Registry(kind, self.source))
        return self._made

    def __getitem__(self, kind: str) -> Registry:
        return self.kinds[kind]

    def __iter__(self) -> Iterator[Entry]:
        for registry in list(self.kinds.values()):
            yield from registry

    def row(self, kind: str) -> Kind:
        """Return a kind of the core, or of a plugin, which is imported.

        Raises:
            PluginError: no plugin brings it, its plugin cannot be used, or two plugins bring it.
        """
        if kind in KINDS:
            return KINDS[kind]
        refusal = self._made["kind"].refusal(kind)
        if refusal:
            raise PluginError(refusal.text)
        claim = kind, self._made["kind"].owners(kind)[0]
        if claim not in self._rows:
            raise PluginError(
                f"the kind '{kind}' is not registered yet; call register.kind before its parts are registered"
            )
        return self._rows[claim]

    @override
    def choose(self, kind: str, name: str) -> Entry:
        refusal = self.kinds[kind].refusal(name) if kind in self.kinds else self._kindless(kind)
        if refusal:
            # The text goes in as a value, since the second argument is a template and names may hold braces.
            raise PydanticCustomError("part_plugin" if refusal.plugin else "part", "{text}", {"text": refusal.text})
        return self.kinds[kind][name]

    def _kindless(self, kind: str) -> Refusal:
        return Refusal(
            f"no installed plugin brings the kind of part '{kind}' (kinds: {', '.join(self.kinds)})", plugin=True
        )

    @override
    def enable(self, module: str) -> None:
        reason = self.source.enable(module)
        if reason:
            raise PydanticCustomError("part_plugin", "{text}", {"text": reason})

    def build(self, kind: str, config: PartConfig, *needs: Any) -> Any:
        """Build a part as ``Class(config, *needs)``.

        Raises:
            PluginError: it cannot be imported, or its constructor fails with an error that is not meant for users.
            RecipeError: its constructor refuses a value.
        """
        return self[kind][config.name].build(config, *needs)

    def registered(self, owner: str) -> list[Entry]:
        """Return what an owner has registered; imports nothing."""
        return [
            entry for registry in self.kinds.values() for entry in registry.entries.values() if entry.owner == owner
        ]

    def owned_by(self, owner: str) -> Registrar:
        """Return the ``register`` callable that is handed to one plugin."""
        return Registrar(self, owner)

    def drop(self, owner: str) -> None:
        """Forget everything an owner registered (its registration failed half way)."""
        for registry in self._made.values():
            registry.drop(owner)
        self._rows = {claim: row for claim, row in self._rows.items() if claim[1] != owner}

    def bring(self, row: Kind, owner: str) -> None:
        """Add a kind of a plugin's own."""
        self._made["kind"].add(Entry("kind", row.name, row.about, row.options(), row.contract, owner))
        self._rows[row.name, owner] = row


@dataclass(frozen=True)
class Registrar:
    """What a plugin's ``mmx_register`` receives: call it once for each part, and its ``kind`` for a kind of its own."""

    registries: Registries
    owner: str

    def __call__(self, kind: str, name: str, *, config: type[PartConfig], part: str, summary: str) -> None:
        """Register a part.

        Args:
            kind: one of the core's kinds, or one that a plugin brings.
            name: the name that recipes use: letters, digits, ``_``, ``-`` and ``.``.
            config: its options, a class that does not need torch, derived from that of the kind.
            part: ``module:Class`` of the part, imported when it is built.
            summary: one line for listings.

        Raises:
            PluginError: the kind does not exist, the name is taken by the same plugin, or an argument is not as above.
        """
        what = f"{self.owner} registers the {kind} '{name}'"
        row = self._row(kind, name)
        if not NAME.fullmatch(name):
            raise PluginError(f"{what}: a name is letters, digits, '_', '-' and '.', and starts with a letter")
        base = row.options()
        if not (isinstance(config, type) and issubclass(config, base)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PluginError(f"{what}: its config {config!r} does not derive from {base.__module__}.{base.__name__}")
        if not REFERENCE.fullmatch(part):
            raise PluginError(f"{what}: the part is given as 'module:Class', not {part!r}")
        own = None if kind in KINDS else row
        self.registries[kind].add(Entry(kind, name, summary, config, part, self.owner, own))

    def kind(self, row: Kind) -> None:
        """Register a kind of part, before any part of it. Other plugins may have parts of it too.

        Raises:
            PluginError: the core has that kind, or a value of it is not as :class:`mmx.plugin.kinds.Kind` says.
        """
        what = f"{self.owner} registers the kind '{row.name}'"
        if row.name in KINDS:
            raise PluginError(f"{what}, which mmx has itself; give it another name")
        if not KIND_NAME.fullmatch(row.name):
            raise PluginError(f"{what}: a kind's name is small letters, digits and '_', and starts with a letter")
        for key in ("contract", "config", *(("checks",) if row.checks else ())):
            if not REFERENCE.fullmatch(getattr(row, key)):
                raise PluginError(f"{what}: {key} is given as 'module:Class', not {getattr(row, key)!r}")
        if row.table:
            raise PluginError(f"{what} with the table '{row.table}', but only the core's kinds have tables of a recipe")
        self.registries.bring(row, self.owner)

    def command(self, name: str, part: str, summary: str) -> None:
        """Register a command, as its metadata lists it; no plugin calls this."""
        entry = Entry("command", name, summary, KINDS["command"].options(), part, self.owner)
        self.registries["command"].add(entry)

    def _row(self, kind: str, name: str) -> Kind:
        if kind in ("kind", "command"):
            how = "call register.kind" if kind == "kind" else "its metadata alone names it (mmx.parts.command)"
            raise PluginError(f"{self.owner} registers '{name}' as a {kind}; {how}")
        if kind not in self.registries.kinds:
            kinds = ", ".join(self.registries.kinds)
            raise PluginError(f"{self.owner} registers '{name}' as a {kind}; kinds are {kinds}")
        try:
            return self.registries.row(kind)
        except PluginError as error:
            raise PluginError(f"{self.owner} registers '{name}' as a {kind}: {error}") from error
