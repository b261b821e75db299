"""The base of every part's options: frozen, strict, and closed to unknown keys. Never imports torch."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema
from typing_extensions import override

from mmx.errors import PluginError

if TYPE_CHECKING:
    from mmx.learn.objective import Objective


class Table(BaseModel):
    """A table of a recipe. Unknown keys, loose conversions, NaN and infinity are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class PartConfig(Table):
    """Options of a part that a plugin registers. Each field's docstring is its help text.

    Config classes live in modules that do not import torch, so that recipes can be checked without it.
    """

    name: str
    """The name the part is registered under."""

    _part: Chosen | None = PrivateAttr(None)
    """The part, where a :class:`Slot` chose it."""

    def __eq__(self, other: object) -> bool:
        """Compare options; where they were read does not matter."""
        return type(self) is type(other) and vars(self) == vars(other)

    _kept: Path | None = PrivateAttr(None)

    def needed_files(self) -> Mapping[str, str]:
        """Return the files that the part is built from, by the names under which a run and a model keep copies of them.

        A part reads each as ``config.needed_file(NAME)``; then runs and models need the files of the recipe no more.
        Tokenizers may have such files.
        """
        return {}

    def needed_file(self, name: str) -> Path:
        """Return where one of ``needed_files`` is read: the copy that a run or a model keeps, or the file of the recipe."""
        kept = None if self._kept is None else self._kept / name
        return kept if kept is not None and kept.is_file() else Path(self.needed_files()[name])

    def use_copies(self, folder: Path) -> None:
        """Read ``needed_files`` from now on from the copies that a folder has."""
        self._kept = folder

    def tiny(self) -> Self:
        """Return a small form of these options that keeps every code path, for checks and smoke runs."""
        return self

    def build(self, *needs: Any) -> Any:
        """Build the part that these options are of: how a part builds another that stands in its options.

        Args:
            needs: what the kind's parts are given after their options (:attr:`mmx.plugin.kinds.Kind.needs`).

        Raises:
            PluginError: the part cannot be imported or built, or these options were made in code, not read from a table.
            RecipeError: the part refuses a value of them.
        """
        if self._part is None:
            raise PluginError(f"which part has the options {self!r} is not known: they were not read from a table")
        return self._part.build(self, *needs)

    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Return small options that work on any machine, for the conformance kit.

        Override it where an option is needed, or where the part reads files: they are written into ``folder``.

        Args:
            name: the name that the part is registered under.
            folder: an empty folder.
        """
        return cls(name=name).tiny()


class Chosen(Protocol):
    """A registered part, as a table of a recipe names it."""

    @property
    def config(self) -> type[PartConfig]:
        """The class of its options."""
        ...

    def build(self, config: PartConfig, *needs: Any) -> Any:
        """Build the part with these options."""
        ...


class Choices(ABC):
    """Knows which parts there are. The registries are passed as the context of a validation in this role."""

    @abstractmethod
    def choose(self, kind: str, name: str) -> Chosen:
        """Return a part.

        Raises:
            PydanticCustomError: there is no such part, or two plugins claim it.
        """

    @abstractmethod
    def enable(self, module: str) -> None:
        """Use a plugin by its module, for its hooks.

        Raises:
            PydanticCustomError: it is not installed or cannot be used.
        """


@dataclass(frozen=True)
class Slot:
    """Marks a field that holds a part: its table names the part, and the class that part registered checks the rest.

    Use it as ``data: Annotated[PartConfig, Slot("dataset")]`` in the options of any part; the value is an instance of
    the class that the part was registered with, and its ``build`` makes the part. Errors keep the full path of the key.
    """

    kind: str
    """A kind of the core (``mmx.plugin.kinds.KINDS``), or of a plugin."""
    key: str = "name"
    """The key that names the part in the recipe."""
    default: str = ""
    """The part that is meant where the table does not name one; empty where it must."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(self._write)
        return core_schema.with_info_plain_validator_function(self._read, serialization=write)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "object", "x-mmx-kind": self.kind, "x-mmx-key": self.key}

    def _read(self, value: object, info: ValidationInfo) -> PartConfig:
        if isinstance(value, PartConfig):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError(
                "part_table",
                "should be a table with the part's {key}{such}",
                {"key": self.key, "such": f', such as {{ {self.key} = "{value}" }}' if isinstance(value, str) else ""},
            )
        table = dict(cast(Mapping[str, object], value))
        if self.key != "name" and "name" in table:
            raise _refuse(PydanticCustomError("extra_forbidden", "unknown key"), "name", table["name"])
        if self.default:
            table.setdefault(self.key, self.default)
        if self.key not in table:
            raise _refuse(PydanticCustomError("missing", "is missing"), self.key, table)
        name = table.pop(self.key)
        part = self._choose(name, info)
        # By way of JSON, since lists must become tuples and strings paths although the tables are strict.
        config = part.config.model_validate_json(json.dumps({"name": name, **table}), context=info.context)
        config._part = part
        return config

    def _choose(self, name: object, info: ValidationInfo) -> Chosen:
        if not isinstance(info.context, Choices):
            raise TypeError(f"a {self.kind} is read from a table: the registries must be the validation's context")
        if not isinstance(name, str):
            raise _refuse(PydanticCustomError("string_type", "should be a string"), self.key, name)
        try:
            return info.context.choose(self.kind, name)
        except PydanticCustomError as error:
            raise _refuse(error, self.key, name) from None

    def _write(self, value: PartConfig) -> dict[str, Any]:
        table = value.model_dump(mode="json", exclude_none=True)
        return {self.key: table.pop("name"), **table}


def _refuse(error: PydanticCustomError, key: str, value: object) -> ValidationError:
    return ValidationError.from_exception_data("part", [InitErrorDetails(type=error, loc=(key,), input=value)])


class BoundsTable(Table):
    """Between which values a number of a sample is."""

    min: float | None = None
    """At least this."""
    max: float | None = None
    """At most this."""

    @model_validator(mode="before")
    @classmethod
    def _is_table(cls, value: object) -> object:
        if isinstance(value, int | float):
            raise ValueError(f"should be a table such as {{ min = {value} }}, not {value}")
        return value


class KeepTable(Table):
    """Which samples are used; the others are left out before training starts, and counted by what they lack."""

    min_side: Annotated[int, Field(gt=0)] | None = None
    """Pixels of a picture's shorter side, at least."""
    max_aspect: Annotated[float, Field(ge=1)] | None = None
    """A picture's longer side over its shorter one, at most."""
    min_characters: Annotated[int, Field(gt=0)] | None = None
    """Characters of a sample's longest caption, at least."""
    max_characters: Annotated[int, Field(gt=0)] | None = None
    """Characters of a sample's longest caption, at most."""
    fields: dict[str, BoundsTable] = Field(default_factory=dict)
    """Numbers that are stored with samples, by name, as ``{ similarity = { min = 0.28 } }``. A sample without is left out."""
    filters: dict[str, Annotated[PartConfig, Slot("filter")]] = Field(default_factory=dict)
    """Other filters, by names of one's own, each a table with the filter's name and options."""

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return the tables of all filters by the keys that samples they leave out are counted under, in their order.

        The keys above ``filters`` are short for those of the filters side, aspect, characters and number.
        """
        short: dict[str, dict[str, Any]] = {
            "min_side": {"name": "side", "min": self.min_side},
            "max_aspect": {"name": "aspect", "max": self.max_aspect},
            "min_characters": {"name": "characters", "min": self.min_characters},
            "max_characters": {"name": "characters", "max": self.max_characters},
        }
        found = {key: table for key, table in short.items() if getattr(self, key) is not None}
        for name, bounds in self.fields.items():
            found[f"fields.{name}"] = {"name": "number", "field": name, **bounds.model_dump(exclude_none=True)}
        return found | {f"filters.{name}": config.model_dump(mode="json") for name, config in self.filters.items()}


class DatasetConfig(PartConfig):
    """Options that every dataset has."""

    embedded: ClassVar[bool] = False
    """Whether it comes with its plugin, so that it can be tried on any machine with no option but its name."""

    keep: KeepTable | None = None
    """Which samples are used: all, if not given."""

    @classmethod
    def at(cls, name: str, path: str) -> Self | None:
        """Return options that read what is at a path or URL, None if that is not of this dataset's form.

        ``mmx data`` asks every dataset. It must be quick: a look at the name, or at a folder's first files.

        Args:
            name: the name that the dataset is registered under.
            path: what the user gave; shard patterns have their braces.
        """
        return None

    def modalities(self) -> tuple[str, ...]:
        """Return what samples have: "image", "text", or both. No view is made of what they have not.

        Called before a run imports torch, so it must tell by the options alone.
        """
        return ("image", "text")

    def absent(self) -> str:
        """Say what these options name and is not there; empty if all seems to be there.

        Called before a run imports torch, so it must be quick; reading may still find that something is missing.
        """
        return ""


class RemoteTable(Table):
    """How requests for data at URLs are made, and what is kept of it."""

    timeout: Annotated[float, Field(gt=0)] = 30.0
    """Seconds in which an answer must begin, and each 256 KiB of it must come; of s3, gs, az and hf, 4 MiB. Then it is asked
    for again."""
    patience: Annotated[float, Field(gt=0)] = 300.0
    """Seconds in which a request that fails is made again, at growing intervals, before the run stops."""
    cache: str | None = None
    """Folder where what was read is kept; ``~/.cache/mmx`` if not given."""
    cache_gb: Annotated[float, Field(ge=0)] = 20.0
    """Size that the folder may grow to, in GB; what was not used for longest goes first. 0 keeps nothing."""

    @field_validator("cache")
    @classmethod
    def _is_here(cls, cache: str | None) -> str | None:
        if cache is not None and "://" in cache:
            raise ValueError("is a folder of this machine, not a URL")
        return cache


class StoredConfig(DatasetConfig):
    """Options of datasets that read picture files."""

    samples: Literal["pairs", "images", "texts"] = "pairs"
    """What samples are: pictures with captions, pictures alone, or captions alone. What is left out is not read, and need
    not be there."""
    remote: RemoteTable = RemoteTable()
    """How data at URLs is read."""
    draft: Annotated[int, Field(gt=0)] | None = None
    """Decode JPEG files at 1/2, 1/4 or 1/8 of their size where both sides are still at least this: faster, and not the
    same pixels. All of them are decoded if not given."""
    max_pixels: Annotated[int, Field(gt=0)] = 64_000_000
    """A picture of more pixels is skipped, without being decoded."""

    @override
    def modalities(self) -> tuple[str, ...]:
        return {"images": ("image",), "texts": ("text",)}.get(self.samples, ("image", "text"))


DatasetSlot = Annotated[PartConfig, Slot("dataset")]
"""A dataset inside the options of another part."""


@dataclass(frozen=True)
class Layout:
    """Options of an engine that ``mmx verify`` compares with one process."""

    options: Mapping[str, str | int]
    processes: int
    micro_batches: int = 1


class EngineConfig(PartConfig):
    """Options that every engine has: none, but what can be told of it before torch is imported."""

    def missing(self) -> str:
        """Say what is not installed, with the command that installs it; empty if nothing is missing."""
        return ""

    def processes_here(self) -> int:
        """Return how many processes ``mmx run`` starts on this machine where no launcher did; 1 starts none."""
        return 1

    def cuts(self) -> Sequence[str]:
        """Return those of its options which divide tensors, so that no process has a whole one to take a step with."""
        return ()

    @classmethod
    def joins(cls) -> bool:
        """Say whether it can be one of several processes that a launcher (torchrun, mpirun, srun) started."""
        return False

    def refusals(self, batch: int, micro_batches: int) -> Iterator[tuple[str, str]]:
        """Yield an option and a reason for each thing that cannot work, with the nearest that can.

        Args:
            batch: samples in one step, over all processes.
            micro_batches: pieces that it is computed in.
        """
        yield from ()

    def divides(self) -> bool:
        """Say whether ``refuse`` has something to look at."""
        return False

    def refuse(self, objective: Objective) -> None:
        """Check that an objective can be divided as these options say. It may have no memory yet (meta device).

        Raises:
            RecipeError: it cannot; the message has the nearest options that can.
        """

    def alone(self) -> Self:
        """Return the options with which one process does the same work, to measure what a run would need."""
        return self

    @classmethod
    def layouts(cls) -> Mapping[str, Layout]:
        """Return the layouts that ``mmx verify`` compares with one process, by name; they must run on a CPU."""
        return {}

    @classmethod
    def doctor(cls) -> Iterator[str]:
        """Yield a line on each thing that matters to this engine on this machine, for ``mmx doctor``."""
        yield from ()


class WeightsTable(Table):
    """The model whose weights training starts from."""

    model_config = ConfigDict(serialize_by_alias=True)

    model: Annotated[str, Field(alias="from", min_length=1)]
    """A run's folder, a model's folder, or one of another format, as ``mmx eval`` takes it. It is read once, when the run
    starts."""


class EncoderConfig(PartConfig):
    """Options that every image and text encoder has."""

    train: Annotated[str, Field(pattern=r"^(full|frozen|last:[1-9][0-9]*)$")] = "full"
    """What is trained of this tower: "full", "frozen", or "last:k" for its last k blocks."""
    weights: WeightsTable | None = None
    """The model whose tower of the same kind this one starts as; drawn from the seed if not given."""


class LossConfig(PartConfig):
    """Options that every loss has."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    """The factor on this loss in the sum that is trained."""


class TransformConfig(PartConfig):
    """Options that every image and text transform has."""

    of: str | None = None
    """The view this one is made from; the sample itself if not given."""
    picture: Annotated[int, Field(ge=0)] = 0
    """Which of a sample's pictures an image view is made from, counted from 0; most samples have one."""
    role: str | None = None
    """Which captions a text view is made from: those of a role such as "question"; those that have none if not given."""
    sources: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The sources of ``data.sources`` whose samples have this view. If not given, those of the view it is made from, or all
    whose samples have what it is made of."""


class EvaluatorConfig(PartConfig):
    """Options that every evaluator has."""

    unmeasured: ClassVar[frozenset[str]] = frozenset({"every"})
    """Options that change no number: evaluations that differ by these alone are of the same thing."""

    every: Annotated[int, Field(ge=0)] = 0
    """Evaluate every this many steps; 0 evaluates at the end only."""
    data: DatasetSlot | None = None
    """The dataset it measures on, a table with the dataset's name and options."""


class TrackerConfig(PartConfig):
    """Options that every tracker has."""

    speaks: ClassVar[bool] = False
    """Whether it writes to the terminal, and so is left out by ``--quiet``."""

    enabled: bool = True
    """Whether this run has it."""


class WeightsConfig(PartConfig):
    """Options that every format of model folders has: none, but what can be told of it before torch is imported."""

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether a folder is of this format, by the names of its files and its description; it reads no weights.

        Every folder that is given as a model is asked about, so it must be quick and raise nothing, whatever is there.
        A folder whose weights are missing or pickled is recognised too: reading it says what is wrong.
        """
        return False

    def small(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the tables of a small model that this format can hold, for the conformance kit.

        They are ``image_encoder``, ``text_encoder``, ``fusion``, ``tokenizer`` and ``preprocess``, as in a recipe, of parts
        that are installed.
        """
        return {}


class ScheduleConfig(PartConfig):
    """Options that every schedule has."""

    warmup: Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)] = 0
    """Steps in which the rate rises to ``optim.lr``: a whole number, or a share of all steps such as 0.1."""
    warmup_lr: Annotated[float, Field(ge=0)] = 0.0
    """Rate that it rises from."""

    def warmup_steps(self, steps: int) -> int:
        """Return the steps of the warm-up in a run of so many."""
        return self.warmup if isinstance(self.warmup, int) else round(self.warmup * steps)

    def refusals(self, lr: float, steps: int | None) -> Iterator[tuple[str, str]]:
        """Yield an option and a reason for each thing that cannot be.

        Args:
            lr: ``optim.lr``.
            steps: of the run; None where they are not known yet.
        """
        if steps is not None and self.warmup_steps(steps) > steps:
            yield (
                "warmup",
                f"should be at most the run's {steps} steps, not {self.warmup}; or a share of them, such as 0.1",
            )
        if self.warmup_lr > lr:
            yield "warmup_lr", f"should be at most optim.lr = {lr:g}, not {self.warmup_lr:g}"

    @override
    def tiny(self) -> Self:
        """Return the options for a run of a few steps: without warm-up."""
        return self.model_copy(update={"warmup": 0})


class GroupTable(Table):
    """Parameters that are trained otherwise than the rest. Where several groups match one, the last written has it."""

    match: Annotated[str, Field(min_length=1)]
    """Names of parameters, as a pattern: ``image_encoder.*``, ``*.bias``. ``*`` stands for any text, dots too."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Highest learning rate of these, which follows the same schedule in proportion; ``optim.lr`` if not given."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Weight decay of those that decay; ``optim.weight_decay`` if not given."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """Factor on the rate from each block of a tower to the one before it: the last block has the whole rate."""


class OptimizerConfig(PartConfig):
    """Options that every optimizer has."""

    elementwise: ClassVar[bool] = False
    """Whether an element's update depends on that element of weight, gradient and state alone. Only then may an engine
    cut tensors: a norm of a whole one, as LAMB's, is another for each piece."""

    lr: Annotated[float, Field(gt=0)] = 1e-3
    """Highest learning rate."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay; gains, biases and other parameters of fewer than 2 axes do not decay."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Norm that the gradient is clipped to; not clipped if not given."""
    schedule: Annotated[ScheduleConfig, Slot("schedule", default="cosine")] | None = None
    """How the rate moves over the run; the schedule "cosine" if not given."""
    groups: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")], GroupTable] = Field(
        default_factory=dict
    )
    """Parameters that are trained otherwise than the rest, by a name of the group."""

    def kept(self) -> int:
        """Return how many tensors of a parameter's size it keeps for it, to tell what memory a run needs."""
        return 2
