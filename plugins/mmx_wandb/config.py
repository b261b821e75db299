"""Options of the W&B tracker. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from typing_extensions import override

from mmx.config import TrackerConfig


class WandbConfig(TrackerConfig):
    """Sends a run to Weights & Biases. The key comes from WANDB_API_KEY or netrc, never from a recipe."""

    project: str = "mmx"
    """The project that the run belongs to."""
    entity: str | None = None
    """The user or team; that of the key if not given."""
    group: str | None = None
    """The group of runs; the recipe's name if not given."""
    tags: tuple[str, ...] = ()
    """Tags of the run."""
    mode: Literal["auto", "online", "offline"] = "auto"
    """Online, offline (uploaded later with ``wandb sync``), or online only where there is a key."""
    log_pictures: bool = True
    """Send the pictures of each evaluation, with truth and guesses, as tables."""

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return options that send nothing over the network."""
        return cls(name=name, mode="offline")
