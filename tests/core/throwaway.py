"""Small parts to check recipes with; also an entry module, as a plugin's would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from mmx.config import (
    DatasetConfig,
    DatasetSlot,
    EncoderConfig,
    EngineConfig,
    EvaluatorConfig,
    LossConfig,
    OptimizerConfig,
    PartConfig,
    ScheduleConfig,
    Table,
    TrackerConfig,
    TransformConfig,
)
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar, Registries
from mmx.recipe import Recipe

Write = Callable[..., Path]
Load = Callable[..., Recipe]


class Vit(EncoderConfig):
    width: Annotated[int, Field(gt=0)] = 64
    """Features of each token."""
    heads: int = 4
    """Attention heads."""
    pool: Literal["mean", "token"] = "mean"
    """How tokens become one vector."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by heads = {self.heads}")
        return self


class Words(EncoderConfig):
    layers: int = 2
    """Number of blocks."""


class Source(Table):
    path: Path
    """Where the source lies."""
    weight: float = 1.0
    """How often it is drawn."""


class Folder(DatasetConfig):
    path: Path
    """The folder to read."""
    sources: tuple[Source, ...] = ()
    """More folders."""
    limit: int | Literal["all"] = "all"
    """How many samples are read."""


class Mixed(DatasetConfig):
    first: DatasetSlot
    """One dataset."""
    second: DatasetSlot | None = None
    """Another dataset."""


class Zero(EvaluatorConfig):
    templates: tuple[str, ...] = ("a {}",)
    """Prompts."""


class Adam(OptimizerConfig):
    elementwise: ClassVar[bool] = True

    betas: tuple[Annotated[float, Field(lt=1)], Annotated[float, Field(lt=1)]] = (0.9, 0.98)
    """Decay of two means."""


class Cosine(ScheduleConfig):
    min_lr: float = 0.0
    """The lowest rate."""


class Remote(EngineConfig):
    hosts: int = 1
    """Machines."""

    @override
    def cuts(self) -> Sequence[str]:
        return ["hosts"] if self.hosts > 1 else []


class Nothing:
    """What every part is here: nobody builds one."""


@hookimpl
def mmx_register(register: Registrar) -> None:
    parts: list[tuple[str, str, type[PartConfig]]] = [
        ("image_encoder", "vit", Vit),
        ("image_encoder", "conv", EncoderConfig),
        ("text_encoder", "words", Words),
        ("fusion", "projection", PartConfig),
        ("tokenizer", "bytes", PartConfig),
        ("loss", "contrast", LossConfig),
        ("dataset", "folder", Folder),
        ("dataset", "mixed", Mixed),
        ("evaluator", "zero", Zero),
        ("image_transform", "augment", TransformConfig),
        ("text_transform", "caption", TransformConfig),
        ("optimizer", "adamw", Adam),
        ("optimizer", "whole", OptimizerConfig),
        ("schedule", "cosine", Cosine),
        ("schedule", "other", Cosine),
        ("engine", "local", EngineConfig),
        ("engine", "remote", Remote),
        ("tracker", "journal", TrackerConfig),
    ]
    for kind, name, config in parts:
        register(kind, name, config=config, part="throwaway:Nothing", summary=f"the {kind} {name}")


def listed() -> tuple[tuple[str, str], ...]:
    """Return what the metadata of a distribution with these parts would list."""
    return tuple(sorted((part.kind, part.name) for part in registries()))


def registries() -> Registries:
    """Return registries with these parts."""
    made = Registries()
    mmx_register(made.owned_by("throwaway 1.0 (throwaway)"))
    return made


RECIPE = """\
# A throw-away recipe.
seed = 3

[image_encoder]
name = "vit"
width = 32

[text_encoder]
name = "words"

[fusion]
name = "projection"

[tokenizer]
name = "bytes"

[preprocess]
size = 16

[losses.main]
name = "contrast"

[data]
batch = 8

[data.train]
name = "folder"
path = "pictures"

[data.images.clean]
name = "augment"

[data.texts.clean]
name = "caption"

[train]
steps = 10

[evaluators.zero]
name = "zero"
every = 5

[evaluators.zero.data]
name = "folder"
path = "others"
"""
"""The shortest recipe that uses every table it can; tests change lines of it by their text."""
