"""Registries: names, summaries and config classes of parts, with lazy references to the parts themselves."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, cast

from pydantic_core import PydanticCustomError

from mmx.config import (
    Choices,
    DatasetConfig,
    EncoderConfig,
    EvaluatorConfig,
    LossConfig,
    PartConfig,
    TrackerConfig,
    TransformConfig,
)
from mmx.errors import PluginError

KINDS: Final[dict[str, str]] = {
    "image_encoder": "mmx.parts.encoder:ImageEncoder",
    "text_encoder": "mmx.parts.encoder:TextEncoder",
    "fusion": "mmx.parts.fusion:Fusion",
    "loss": "mmx.parts.loss:Loss",
    "dataset": "mmx.parts.dataset:Dataset",
    "image_transform": "mmx.parts.transform:ImageTransform",
    "text_transform": "mmx.parts.transform:TextTransform",
    "tokenizer": "mmx.parts.tokenizer:Tokenizer",
    "evaluator": "mmx.parts.evaluator:Evaluator",
    "engine": "mmx.parts.engine:Engine",
    "tracker": "mmx.parts.tracker:Tracker",
}
"""Every kind of part, and the contract it fulfils. The contracts import torch, so they are named, not imported."""

CONFIGS: Final[dict[str, type[PartConfig]]] = {
    "image_encoder": EncoderConfig,
    "text_encoder": EncoderConfig,
    "loss": LossConfig,
    "dataset": DatasetConfig,
    "image_transform": TransformConfig,
    "text_transform": TransformConfig,
    "evaluator": EvaluatorConfig,
    "tracker": TrackerConfig,
}
"""What a part's options derive from, by kind; PartConfig where a kind is not listed."""

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
REFERENCE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Entry:
    """One registered part: its name, what it is, its options, and where the part itself is found."""

    kind: str
    name: str
    summary: str
    config: type[PartConfig]
    part: str
    """``module:Class``, imported when the part is built."""
    owner: str
    """The distribution (or file) whose plugin registered the part."""

    def load(self) -> type:
        """Import the part and check that it fulfils the contract of its kind."""
        found = _locate(self.part, self.describe())
        contract = cast(type, _locate(KINDS[self.kind], "the core"))
        if not (isinstance(found, type) and issubclass(found, contract)):
            raise PluginError(f"{self.describe()}: {self.part} is not a subclass of {KINDS[self.kind]}")
        return found

    def describe(self) -> str:
        """Name the part and its owner, for messages."""
        return f"{self.kind} '{self.name}' of {self.owner}"


def _locate(reference: str, owner: str) -> object:
    module, _, attribute = reference.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise PluginError(f"{owner}: cannot import {reference}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class Refusal:
    """Why a name cannot be used."""

    text: str
    plugin: bool
    """Whether a plugin is to blame rather than whoever wrote the name."""


@dataclass
class Registry:
    """The parts of one kind, by name. A name that two owners claim belongs to neither."""

    kind: str
    absent: list[str]
    """Plugins that could not be loaded and why, one line for each; shared by all registries."""
    claims: dict[str, list[Entry]] = field(default_factory=dict[str, list[Entry]])

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.claims[name][0] for name in sorted(self.claims) if len(self.claims[name]) == 1)

    def __contains__(self, name: str) -> bool:
        return len(self.claims.get(name, ())) == 1

    def __getitem__(self, name: str) -> Entry:
        refusal = self.refusal(name)
        if refusal:
            raise PluginError(refusal.text)
        return self.claims[name][0]

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            PluginError: its owner registered the name already.
        """
        claims = self.claims.setdefault(entry.name, [])
        if any(claim.owner == entry.owner for claim in claims):
            raise PluginError(f"{entry.owner} registers the {self.kind} '{entry.name}' twice")
        claims.append(entry)

    def drop(self, owner: str) -> None:
        """Forget what an owner registered."""
        kept = {name: [claim for claim in claims if claim.owner != owner] for name, claims in self.claims.items()}
        self.claims = {name: claims for name, claims in kept.items() if claims}

    def clashes(self) -> list[str]:
        """Return a line on every name that two plugins claim."""
        taken = [name for name in sorted(self.claims) if len(self.claims[name]) > 1]
        return [refusal.text for refusal in map(self.refusal, taken) if refusal]

    def refusal(self, name: str) -> Refusal | None:
        """Say why a name cannot be used, which one may have been meant, and who may have had it; None if it can."""
        owners = sorted(claim.owner for claim in self.claims.get(name, ()))
        if len(owners) == 1:
            return None
        if owners:
            both = " and ".join(owners)
            return Refusal(f"two plugins register the {self.kind} '{name}': {both}; uninstall one of them", plugin=True)
        close = difflib.get_close_matches(name, self.claims, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        known = ", ".join(sorted(self.claims)) or "none"
        lines = [f"no {self.kind} '{name}'{hint} (known: {known})"]
        if self.absent:
            lines += ["  it may belong to a plugin that is installed but cannot be used:"]
            lines += [f"  - {plugin}" for plugin in self.absent]
        return Refusal("\n".join(lines), plugin=bool(self.absent) and not close)


class Registries(Choices):
    """All registries, one for each kind, and the door through which a plugin adds to them."""

    def __init__(self) -> None:
        self.absent: list[str] = []
        """Plugins that could not be loaded and why: what they would have registered is unknown."""
        self.kinds: dict[str, Registry] = {kind: Registry(kind, self.absent) for kind in KINDS}

    def __getitem__(self, kind: str) -> Registry:
        return self.kinds[kind]

    def __iter__(self) -> Iterator[Entry]:
        for registry in self.kinds.values():
            yield from registry

    def choose(self, kind: str, name: str) -> type[PartConfig]:
        """Return the options of a part; see :class:`mmx.config.Choices`."""
        refusal = self.kinds[kind].refusal(name)
        if refusal:
            # The text goes in as a value, since the second argument is a template and names may hold braces.
            raise PydanticCustomError("part_plugin" if refusal.plugin else "part", "{text}", {"text": refusal.text})
        return self.kinds[kind][name].config

    def owned_by(self, owner: str) -> Registrar:
        """Return the ``register`` callable that is handed to one plugin."""
        return Registrar(self, owner)

    def drop(self, owner: str) -> None:
        """Forget everything an owner registered (its registration failed half way)."""
        for registry in self.kinds.values():
            registry.drop(owner)


@dataclass(frozen=True)
class Registrar:
    """What a plugin's ``mmx_register`` receives: call it once for each part."""

    registries: Registries
    owner: str

    def __call__(self, kind: str, name: str, *, config: type[PartConfig], part: str, summary: str) -> None:
        """Register a part.

        Args:
            kind: one of :data:`KINDS`.
            name: the name that recipes use: letters, digits, ``_``, ``-`` and ``.``.
            config: its options, a class that does not need torch, derived from that of the kind (:data:`CONFIGS`).
            part: ``module:Class`` of the part, imported when it is built.
            summary: one line for listings.

        Raises:
            PluginError: the kind does not exist, the name is taken by the same plugin, or an argument is not as above.
        """
        if kind not in KINDS:
            raise PluginError(f"{self.owner} registers '{name}' as a {kind}; kinds are {', '.join(KINDS)}")
        what = f"{self.owner} registers the {kind} '{name}'"
        if not NAME.fullmatch(name):
            raise PluginError(f"{what}: a name is letters, digits, '_', '-' and '.', and starts with a letter")
        base = CONFIGS.get(kind, PartConfig)
        if not (isinstance(config, type) and issubclass(config, base)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PluginError(f"{what}: its config {config!r} does not derive from mmx.config.{base.__name__}")
        if not REFERENCE.fullmatch(part):
            raise PluginError(f"{what}: the part is given as 'module:Class', not {part!r}")
        self.registries[kind].add(Entry(kind, name, summary, config, part, self.owner))
