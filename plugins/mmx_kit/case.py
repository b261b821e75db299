"""A part under check: its entry, example options, and fresh instances of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmx.config import PartConfig
from mmx.plugin.kinds import Entry
from mmx.plugin.registry import Registries
from mmx_kit.ranks import Ranks


@dataclass(frozen=True)
class Case:
    """One part with the options that it is checked with."""

    entry: Entry
    config: PartConfig
    """What ``config.example(name, folder)`` returned."""
    folder: Path
    """An empty folder of its own; what ``example`` wrote is in it."""
    registries: Registries
    files: tuple[Path, ...] = ()
    """The ``--plugin`` file that the part is in, if it is in one."""
    pair: Ranks = field(default_factory=Ranks)
    """Two processes that checks of several cases share; they start when a check first needs them."""
    beside: tuple[Path, ...] = ()
    """More such files, with parts that this one is built with."""

    @property
    def kind(self) -> str:
        """The part's kind."""
        return self.entry.kind

    def build(self, *needs: Any, seed: int = 0, **options: Any) -> Any:
        """Build the part as ``Class(config, *needs)``, its weights drawn from a seed; ``options`` replace some of its own."""
        torch.manual_seed(seed)
        return self.registries.build(self.kind, self.changed(options), *needs)

    def changed(self, options: Mapping[str, Any]) -> PartConfig:
        """Return its options with some replaced and checked again."""
        values = self.config.model_dump(mode="json", exclude_none=True) | dict(options)
        return type(self.config).model_validate_json(json.dumps(values), context=self.registries)
