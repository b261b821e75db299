"""The tables of a recipe. Every field's docstring is its help; ``mmx recipe schema`` prints them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo
from pydantic.config import JsonDict

from mmx.config import (
    Choices,
    DatasetConfig,
    DatasetSlot,
    EncoderConfig,
    EngineConfig,
    EvaluatorConfig,
    LossConfig,
    OptimizerConfig,
    PartConfig,
    Slot,
    Table,
    TrackerConfig,
    TransformConfig,
    WeightsTable,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Color = tuple[float, float, float]


class PreprocessTable(Table):
    """How pictures become the model's input; saved with the model."""

    size: Count
    """Side of the square input, in pixels."""
    mean: Color = (0.48145466, 0.4578275, 0.40821073)
    """Mean of red, green and blue that is subtracted, for pixels from 0 to 1."""
    std: tuple[Rate, Rate, Rate] = (0.26862954, 0.26130258, 0.27577711)
    """Standard deviation of red, green and blue that is divided by."""
    resize: Literal["squash", "crop", "pad"] = "crop"
    """How a picture becomes a square: stretched, cut at its longer side, or filled up with white."""


class TeacherTable(Table):
    """A copy of the model that follows it; losses read it by its name."""

    decay: Decay
    """Share of the teacher that stays at each step: teacher = decay * teacher + (1 - decay) * model."""


class MixTable(Table):
    """How the datasets of ``data.sources`` are mixed. Exactly one of the two is given."""

    weights: dict[Name, Rate] | None = None
    """Each source's share of the samples that are read, in any units. A source is passed over again and again; an epoch
    is as many samples as all sources have together."""
    repeat: dict[Name, Rate] | None = None
    """Passes over each source in an epoch, also parts of one; 1 where a source is not named."""


class TurnTable(Table):
    """Steps whose samples are of some sources only."""

    sources: tuple[Name, ...] = ()
    """Which sources; the one of the turn's own name if not given. They are mixed among themselves as ``data.mix`` says."""
    weight: Rate = 1.0
    """This turn's share of all steps, in any unit."""
    batch: Count | None = None
    """Samples in a step of this turn; ``data.batch`` if not given."""


class DataTable(Table):
    """What is trained on: one dataset (``train``), or several that are mixed (``sources``)."""

    batch: Count
    """Samples in one step, over all processes and micro-batches."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read and decode; 0 reads in the training process."""
    worker_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds in which such a process must read one sample, before it is ended and the run stops. Waiting for a server
    does not count: ``remote`` has limits for that."""
    bad_samples: Share = 0.01
    """Share of the samples that may be unreadable before the run stops: of those read in an epoch, or of the first 10,000
    where fewer were read, or of all where there are fewer."""
    window: Annotated[int, Field(ge=0)] = 0
    """How many shards (or other runs of samples that are stored together) are mixed at a time; 0 mixes all samples."""
    train: DatasetSlot | None = None
    """The dataset that is trained on. A recipe may leave it to whoever runs it."""
    sources: dict[Name, DatasetSlot] = Field(default_factory=dict)
    """Several datasets, by name, instead of ``train``."""
    mix: MixTable | None = None
    """How the sources are mixed; each once an epoch if not given."""
    turns: dict[Name, TurnTable] = Field(default_factory=dict)
    """Steps of one kind of data each, by name, which take turns. If not given, every step has samples of all sources."""
    images: dict[Name, Annotated[TransformConfig, Slot("image_transform")]] = Field(default_factory=dict)
    """Image views by name, each made by a transform from the picture or from another view."""
    texts: dict[Name, Annotated[TransformConfig, Slot("text_transform")]] = Field(default_factory=dict)
    """Text views by name, each made by a transform from the captions or from another view."""

    def given(self) -> dict[str, DatasetConfig]:
        """Return the datasets that are trained on, by their keys in the recipe; empty if it leaves them to whoever runs it."""
        one = {} if self.train is None else {"train": self.train}
        return cast("dict[str, DatasetConfig]", one | {f"sources.{name}": data for name, data in self.sources.items()})

    def turn(self, name: str) -> tuple[str, ...]:
        """Return the sources of a turn."""
        return self.turns[name].sources or (name,)

    def batches(self) -> dict[str, int]:
        """Return the samples of a step, by the key that says so: one, or one for each turn with its own."""
        own = {f"data.turns.{name}.batch": turn.batch for name, turn in self.turns.items() if turn.batch is not None}
        needed = not self.turns or len(own) < len(self.turns)
        return ({"data.batch": self.batch} if needed else {}) | own


class TrainTable(Table):
    """How long and how training runs. Exactly one of ``steps`` and ``epochs`` is given."""

    steps: Count | None = None
    """Optimizer steps of the whole run."""
    epochs: Rate | None = None
    """Passes over the training data, also parts of one."""
    micro_batches: Count = 1
    """Pieces that a batch is computed in, to save memory; the result is that of the whole batch."""
    ema: Decay | None = None
    """Decay of a moving average of the weights, which is then what is evaluated and saved; off if not given."""
    log_every: Count = 10
    """Steps between two records in metrics.jsonl."""
    max_minutes: Rate | None = None
    """Time limit of the run: it saves and stops, and can be resumed."""


class CheckpointTable(Table):
    """When the run is saved, and which checkpoints are kept."""

    every_steps: Count | None = None
    """Save every this many steps."""
    every_minutes: Rate = 10.0
    """Save when this many minutes have passed since the last checkpoint."""
    keep_last: Count = 2
    """How many of the newest checkpoints are kept."""
    keep_best: bool = True
    """Whether the checkpoint with the best evaluation is kept as well; off by default without evaluators."""


def _enabled(module: str, info: ValidationInfo) -> str:
    if isinstance(info.context, Choices):
        info.context.enable(module)
    return module


def _name_trackers(value: object) -> object:
    if not isinstance(value, dict):
        return value
    tables = cast(dict[str, object], value)
    return {name: {"name": name, **table} if isinstance(table, dict) else table for name, table in tables.items()}


def _with_schedule(value: object) -> object:
    return {"schedule": {}, **cast(dict[str, object], value)} if isinstance(value, dict) else value


def _without_default(schema: JsonDict) -> None:
    """Leave out a default that is only a stand-in."""
    schema.pop("default", None)


class Recipe(Table):
    """All that a run is made from. Read one with :func:`mmx.recipe.load`."""

    name: RunName = Field("recipe", json_schema_extra=_without_default)
    """Name of the recipe and of its runs; the file's name if not given."""
    plugins: tuple[Annotated[str, AfterValidator(_enabled)], ...] = ()
    """Modules of installed plugins that are used for their hooks. A plugin that has a part of the recipe is used anyway."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of weights, order of samples, augmentation and dropout."""
    image_encoder: Annotated[EncoderConfig, Slot("image_encoder")]
    """The image tower."""
    text_encoder: Annotated[EncoderConfig, Slot("text_encoder")]
    """The text tower."""
    fusion: Annotated[PartConfig, Slot("fusion")]
    """How image and text come together."""
    tokenizer: Annotated[PartConfig, Slot("tokenizer")]
    """How texts become ids."""
    preprocess: PreprocessTable
    """How pictures become the model's input."""
    weights: WeightsTable | None = None
    """The model whose weights this one starts with: all of them, but for a tower that has a table of its own."""
    losses: Annotated[dict[Name, Annotated[LossConfig, Slot("loss")]], Field(min_length=1)]
    """What is trained, by name; their weighted sum is minimised."""
    teachers: dict[Name, TeacherTable] = Field(default_factory=dict)
    """Copies of the model that follow it, by name."""
    data: DataTable
    """What is trained on."""
    optim: Annotated[OptimizerConfig, Slot("optimizer", default="adamw"), BeforeValidator(_with_schedule)] = Field(
        {}, validate_default=True
    )
    """The optimizer, its learning rate and schedule; AdamW if it names none."""
    train: TrainTable
    """How long and how training runs."""
    checkpoint: CheckpointTable = CheckpointTable()
    """When the run is saved."""
    evaluators: dict[Name, Annotated[EvaluatorConfig, Slot("evaluator")]] = Field(default_factory=dict)
    """What is measured, by name."""
    parallel: Annotated[EngineConfig, Slot("engine", key="engine")] = Field({"engine": "local"}, validate_default=True)
    """The engine that runs the model, named by ``engine``, and its options; the engine "local" if not given."""
    trackers: Annotated[dict[Name, Annotated[TrackerConfig, Slot("tracker")]], BeforeValidator(_name_trackers)] = Field(
        default_factory=dict
    )
    """What watches the run; a tracker's ``name`` is that of its table if not given."""

    _sources: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @property
    def sources(self) -> dict[str, str]:
        """Where each value came from, by dotted key: ``file:line``, ``--set`` or ``default``."""
        return self._sources

    def resolved(self) -> dict[str, Any]:
        """Return every value, defaults too, as plain TOML values: a recipe that loads back as an equal one."""
        return self.model_dump(mode="json", exclude_none=True)

    def __eq__(self, other: object) -> bool:
        """Compare values; where they came from does not matter."""
        return isinstance(other, Recipe) and self.resolved() == other.resolved()

    __hash__ = None  # pyright: ignore[reportAssignmentType]
