"""What of a CLIP model other projects' descriptions tell: our tables from theirs, checked, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from pydantic import ValidationError

from mmx.config import PartConfig
from mmx.errors import CheckpointError
from mmx.recipe.schema import PreprocessTable
from mmx_clip.configs import (
    ClipTokenizerConfig,
    ModifiedResNetConfig,
    ProjectionConfig,
    TextTransformerConfig,
    TransformerConfig,
    VitConfig,
)
from mmx_clip.merges import MERGES

T = TypeVar("T", bound=PartConfig)
Table = Mapping[str, Any]
VOCABULARY = MERGES + 2 * 256 + 2
"""Ids of CLIP's tokenizer with all merges."""


@final
@dataclass(frozen=True)
class ClipTables:
    """The options of the parts of a CLIP model."""

    image: VitConfig | ModifiedResNetConfig
    text: TextTransformerConfig
    fusion: ProjectionConfig
    tokenizer: ClipTokenizerConfig
    preprocess: PreprocessTable


def clip_tables(tables: Mapping[str, Table], what: str) -> ClipTables:
    """Return the options in complete tables, where the parts are CLIP's.

    Raises:
        CheckpointError: a part is another one, or computes something that is no CLIP of ``what``.
    """
    image = VitConfig if tables["image_encoder"]["name"] == "vit" else ModifiedResNetConfig
    model = ClipTables(
        _options(tables, "image_encoder", ("vit", "modified_resnet"), image, what),
        _options(tables, "text_encoder", ("transformer",), TextTransformerConfig, what),
        _options(tables, "fusion", ("projection",), ProjectionConfig, what),
        _options(tables, "tokenizer", ("clip",), ClipTokenizerConfig, what),
        PreprocessTable.model_validate(tables["preprocess"], strict=False),
    )
    _check(model, what)
    return model


def _options(tables: Mapping[str, Table], table: str, names: tuple[str, ...], make: type[T], what: str) -> T:
    if tables[table]["name"] not in names:
        raise unfit(what, f"{table}.name = '{tables[table]['name']}'", " or ".join(names))
    return make.model_validate(tables[table], strict=False)


def unfit(what: str, option: str, fits: str) -> CheckpointError:
    """Return the error that a format cannot express an option."""
    return CheckpointError(f"{what} cannot express {option}; it has {fits}")


def _check(model: ClipTables, what: str) -> None:
    text, tokenizer = model.text, model.tokenizer
    if not (text.causal and text.pool == "end"):
        raise unfit(
            what, f"text_encoder.causal = {text.causal} with pool = '{text.pool}'", "causal towers read at the end"
        )
    if tokenizer.merges != MERGES:
        raise unfit(what, f"tokenizer.merges = {tokenizer.merges}", f"CLIP's vocabulary of all {MERGES}")
    if isinstance(model.image, VitConfig):
        if not model.image.pre_norm:
            raise unfit(what, "image_encoder.pre_norm = false", "true")
        if not model.fusion.project_image:
            raise unfit(what, "fusion.project_image = false of a vit", "true")


def mlp_ratio(width: int, hidden: int) -> float:
    """Return the ratio whose product with the width, rounded down, is the hidden layer's size."""
    ratio = hidden / width
    return ratio if int(ratio * width) == hidden else (hidden + 0.5) / width


def hidden(config: TransformerConfig) -> int:
    """Return the size of the hidden layer of a tower's MLPs."""
    return int(config.mlp_ratio * config.width)


def whole_number(table: Table, key: str, where: str, default: int | None = None) -> int:
    """Return a positive whole number of a description.

    Raises:
        CheckpointError: it is missing, or something else.
    """
    value = table.get(key, default)
    if type(value) is not int or value < 1:
        raise CheckpointError(f"{where}: {key} is {value!r}; expected a whole number above 0")
    return value


def table_of(values: Table, key: str, where: str) -> dict[str, Any]:
    """Return a table of a description.

    Raises:
        CheckpointError: it is missing, or something else.
    """
    value = values.get(key)
    if not isinstance(value, dict):
        raise CheckpointError(f"{where}: {key} is {'missing' if value is None else 'not a table'}")
    return {str(name): item for name, item in value.items()}


def refuse_others(table: Table, known: Mapping[str, object], where: str) -> None:
    """Refuse options that change what is computed and that our parts do not have. What is off or null changes nothing.

    Args:
        table: of a description.
        known: the options that are read; None, or the only value that an option may have.
        where: the file and the table, for messages.
    """
    for key, value in table.items():
        neutral = value is None or value is False or (key in known and known[key] in (None, value))
        if not neutral:
            raise CheckpointError(f"{where}: {key} = {value!r} is a model that mmx has no part for")


def checked(
    make: type[VitConfig] | type[ModifiedResNetConfig] | type[TextTransformerConfig], table: Table, path: Path
) -> Table:
    """Return a table that its options' class takes.

    Raises:
        CheckpointError: it does not.
    """
    try:
        make.model_validate(table, strict=False)
    except ValidationError as error:
        problem = error.errors()[0]
        raise CheckpointError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
    return table


def triple(value: object) -> list[float] | None:
    """Return three numbers, None if it is something else."""
    if isinstance(value, list) and len(value) == 3 and all(type(one) in (int, float) for one in value):
        return [float(one) for one in value]
    return None
