"""The kinds of part in one table, and one registered part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from mmx.errors import MmxError, PluginError, RecipeError

if TYPE_CHECKING:
    from mmx.config import PartConfig

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
REFERENCE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
KIND_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Kind:
    """A kind of part: all that the core, its listings, the kit and the pages know of it.

    Contract and options are named as ``module:Class``, not imported: contracts need torch, and options pydantic.
    """

    name: str
    """What metadata, :class:`mmx.config.Slot` and messages call it: ``image_encoder``."""
    contract: str
    """The class that its parts derive from; of a protocol, what its parts themselves must be."""
    about: str
    """One line for listings: what such a part does."""
    config: str = "mmx.config:PartConfig"
    """The class that the options of its parts derive from; empty if its parts have no options."""
    needs: tuple[str, ...] = ()
    """What a part's class is given after its options, in order and by name: ``("sizes",)``."""
    table: str = ""
    """The table of a recipe where such a part stands; empty if it stands in the options of other parts only, or nowhere."""
    many: bool = False
    """Whether that table holds any number of them, each in a table with a name of its own: ``[losses.NAME]``."""
    key: str = "name"
    """The key that names the part in its table."""
    first: str = ""
    """How a new recipe calls the first of many; after the part if empty."""
    needed: bool = False
    """Whether no recipe can do without one."""
    checks: str = ""
    """``module:NAME`` of checks that the kit makes of its parts, beside those of every kind; the core's are in the kit."""

    def options(self) -> type[PartConfig]:
        """Import the class that the options of its parts derive from."""
        return cast("type[PartConfig]", locate(self.config or "mmx.config:PartConfig", f"the kind '{self.name}'"))

    def place(self, name: str) -> str:
        """Return the table of a recipe that a part of a name is written to; the name is quoted where TOML needs it."""
        return f"{self.table}.{self.first or name}" if self.many else self.table

    def accepts(self, part: object) -> bool:
        """Say whether something that was imported fulfils the contract."""
        contract = cast(Any, locate(self.contract, f"the kind '{self.name}'"))
        if getattr(contract, "_is_protocol", False):
            return isinstance(part, contract)
        return isinstance(part, type) and issubclass(part, contract)


_TABLE: Final = (
    Kind(
        "image_encoder",
        "mmx.parts.encoder:ImageEncoder",
        "pixels become a vector, and one for each place",
        config="mmx.config:EncoderConfig",
        needs=("sizes",),
        table="image_encoder",
        needed=True,
    ),
    Kind(
        "text_encoder",
        "mmx.parts.encoder:TextEncoder",
        "token ids become a vector, and one for each token",
        config="mmx.config:EncoderConfig",
        needs=("sizes",),
        table="text_encoder",
        needed=True,
    ),
    Kind(
        "fusion",
        "mmx.parts.fusion:Fusion",
        "how image and text come together",
        needs=("sizes",),
        table="fusion",
        needed=True,
    ),
    Kind(
        "loss",
        "mmx.parts.loss:Loss",
        "a number that is made small",
        config="mmx.config:LossConfig",
        needs=("sizes",),
        table="losses",
        many=True,
        needed=True,
    ),
    Kind(
        "dataset",
        "mmx.parts.dataset:Dataset",
        "pictures with captions, read by their index",
        config="mmx.config:DatasetConfig",
        table="data.train",
        needed=True,
    ),
    Kind(
        "image_transform",
        "mmx.parts.transform:ImageTransform",
        "a picture becomes pixels of the model's size",
        config="mmx.config:TransformConfig",
        needs=("preprocess",),
        table="data.images",
        many=True,
        first="clean",
        needed=True,
    ),
    Kind(
        "text_transform",
        "mmx.parts.transform:TextTransform",
        "captions become token ids",
        config="mmx.config:TransformConfig",
        needs=("tokenizer",),
        table="data.texts",
        many=True,
        first="clean",
        needed=True,
    ),
    Kind(
        "tokenizer",
        "mmx.parts.tokenizer:Tokenizer",
        "a text becomes ids, and ids become a text",
        table="tokenizer",
        needed=True,
    ),
    Kind(
        "optimizer",
        "mmx.parts.optimizer:Optimizer",
        "how gradients become a step",
        config="mmx.config:OptimizerConfig",
        table="optim",
        needed=True,
    ),
    Kind(
        "schedule",
        "mmx.parts.schedule:Schedule",
        "how the learning rate moves over a run",
        config="mmx.config:ScheduleConfig",
        needs=("span",),
        table="optim.schedule",
        needed=True,
    ),
    Kind(
        "filter",
        "mmx.parts.filter:Filter",
        "a sample stays or goes",
        table="data.train.keep.filters",
        many=True,
    ),
    Kind(
        "evaluator",
        "mmx.parts.evaluator:Evaluator",
        "a model is measured on a dataset",
        config="mmx.config:EvaluatorConfig",
        needs=("dataset",),
        table="evaluators",
        many=True,
    ),
    Kind(
        "engine",
        "mmx.parts.engine:Engine",
        "how steps are computed, on one process or many",
        config="mmx.config:EngineConfig",
        table="parallel",
        key="engine",
    ),
    Kind(
        "tracker",
        "mmx.parts.tracker:Tracker",
        "what happens in a run is shown or written",
        config="mmx.config:TrackerConfig",
        table="trackers",
        many=True,
    ),
    Kind(
        "weights",
        "mmx.parts.weights:WeightsFormat",
        "a format of model folders, read and written",
        config="mmx.config:WeightsConfig",
        table="weights",
    ),
    Kind("command", "mmx.parts.command:Command", "one more command of mmx, named in the metadata alone", config=""),
    Kind("kind", "mmx.plugin.kinds:Kind", "one more kind of part", config=""),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _TABLE}
"""Every kind of part that the core knows, by name. A plugin adds others with ``register.kind``."""
BUILT: Final = tuple(kind.name for kind in _TABLE if kind.config)
"""Those whose parts are classes that are built with options."""


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
    own: Kind | None = None
    """Its kind, where a plugin brought that."""

    @property
    def row(self) -> Kind:
        """Its kind."""
        return self.own or KINDS[self.kind]

    def load(self) -> type:
        """Import the part and check that it fulfils the contract of its kind."""
        found = locate(self.part, self.describe())
        if not self.row.accepts(found):
            raise PluginError(f"{self.describe()}: {self.part} is not a subclass of {self.row.contract}")
        return cast(type, found)

    def build(self, config: PartConfig, *needs: Any) -> Any:
        """Build the part as ``Class(config, *needs)``.

        Raises:
            PluginError: it cannot be imported, or its constructor fails with an error that is not meant for users.
            RecipeError: its constructor refuses a value.
        """
        try:
            return self.load()(config, *needs)
        except (MmxError, KeyboardInterrupt):
            raise
        except ValueError as error:
            raise RecipeError(f"{self.kind} '{self.name}': {error}") from error
        except Exception as error:
            raise PluginError(f"{self.describe()} cannot be built: {type(error).__name__}: {error}") from error

    def describe(self) -> str:
        """Name the part and its owner, for messages."""
        return f"{self.kind} '{self.name}' of {self.owner}"


def locate(reference: str, owner: str) -> object:
    """Import ``module:name``.

    Raises:
        PluginError: it is not there, or cannot be imported; ``owner`` begins the message.
    """
    module, _, attribute = reference.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise PluginError(f"{owner}: cannot import {reference}: {type(error).__name__}: {error}") from error
