"""Which dataset reads what the user named: a folder, a table, shards, or a URL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError

from mmx.config import DatasetConfig, StoredConfig
from mmx.errors import DataError, RecipeError
from mmx.plugin.kinds import Entry
from mmx.plugin.registry import Registries
from mmx.recipe.messages import message
from mmx.recipe.overrides import read_key, read_value
from mmx.recipe.problems import unknown
from mmx.recipe.source import dotted, quote
from mmx.recipe.write import literal
from mmx_storage.urls import expand_all, scheme_of, shown

if TYPE_CHECKING:
    from mmx.data.stored import StoredDataset
    from mmx.parts.dataset import Dataset

_WIDTH: Final = 76
"""Columns of a line of a recipe; a longer list has a line for each item."""
_LOOKED_AT: Final = 10_000
"""Names in a folder that are counted by extension."""


@dataclass(frozen=True)
class Source:
    """What reads the data: the options of a dataset, found by what is there."""

    path: str
    config: DatasetConfig
    registries: Registries

    @property
    def largest(self) -> int:
        """Pixels of the largest picture that is decoded."""
        return (
            self.config.max_pixels
            if isinstance(self.config, StoredConfig)
            else StoredConfig.model_fields["max_pixels"].default
        )

    def table(self) -> str:
        """Return the table ``[data.train]`` that reads the same data in a recipe."""
        return table_of(self.config)

    def build(self) -> StoredDataset:
        """Build the dataset with its filters; imports torch.

        Raises:
            DataError: it cannot be read, its pictures are not stored as files, or the filters leave nothing of it.
        """
        from mmx.data.build import filters_of
        from mmx.data.keep import kept
        from mmx.data.stored import StoredDataset

        filters = filters_of(self.config.keep, self.registries)
        dataset = kept(cast("Dataset", self.registries.build("dataset", self.config)), filters)
        if not isinstance(dataset, StoredDataset):
            raise DataError(f"the dataset '{self.config.name}' does not store pictures as files, which this needs")
        if not (dataset.pictured and dataset.captioned):
            raise DataError("samples are looked at as pairs of a picture and captions: leave out --set samples")
        return dataset


def find(path: str, registries: Registries, name: str | None = None, sets: Sequence[str] = ()) -> Source:
    """Ask every dataset whether it reads a path or URL; the first that does is taken.

    Args:
        path: what the user gave.
        registries: the parts there are.
        name: the dataset that is asked, if not all.
        sets: ``KEY=VALUE`` of that dataset's options.

    Raises:
        DataError: none reads it; the message has what was looked for, and what is there.
        RecipeError: there is no dataset of that name, or an option is wrong.
    """
    try:
        expand_all([path])
    except ValueError as error:
        raise RecipeError(str(error)) from None
    asked = list(registries["dataset"]) if name is None else [_named(name, registries)]
    for entry in asked:
        config = cast("type[DatasetConfig]", entry.config).at(entry.name, path)
        if config is not None:
            return Source(path, _changed(config, sets, registries), registries)
    raise DataError("\n".join(_unknown(path, [entry for entry in asked if name is not None or _looks(entry)])))


def table_of(config: DatasetConfig) -> str:
    """Write the options that are not the defaults as ``[data.train]``."""
    options = config.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    rows = [row for key, value in options.items() for row in _rows(f"{dotted((key,))} = ", value)]
    return "\n".join(["[data.train]", f"name = {quote(config.name)}", *rows])


def _rows(start: str, value: object) -> list[str]:
    line = f"{start}{literal(value)}"
    if not isinstance(value, list) or len(line) <= _WIDTH:
        return [line]
    return [f"{start}[", *(f"    {literal(item)}," for item in cast(list[object], value)), "]"]


def _named(name: str, registries: Registries) -> Entry:
    refusal = registries["dataset"].refusal(name)
    if refusal:
        raise RecipeError(f"--as {name}: {refusal.text}")
    return registries["dataset"][name]


def _looks(entry: Entry) -> bool:
    """Say whether a dataset can be found by a path at all."""
    return cast("type[DatasetConfig]", entry.config).at.__func__ is not DatasetConfig.at.__func__


def _changed(config: DatasetConfig, sets: Sequence[str], registries: Registries) -> DatasetConfig:
    if not sets:
        return config
    options: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    for text in sets:
        _put(options, text)
    try:
        return type(config).model_validate_json(json.dumps({**options, "name": config.name}), context=registries)
    except ValidationError as error:
        wrong = error.errors()[0]
        path, values = ("data", "train", *wrong["loc"]), {"data": {"train": {**options, "name": config.name}}}
        what = unknown(path, values, registries) if wrong["type"] == "extra_forbidden" else message(wrong)
        raise RecipeError(f"--set {dotted(wrong['loc'])}: {what}") from None


def _put(options: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not (equals and value.strip()):
        raise RecipeError(f"--set {text[:80]}: should be KEY=VALUE, such as --set caption=json:caption")
    *tables, last = read_key(key.strip(), f"--set {text[:80]}")
    at: Any = options
    for name in tables:
        at = at.setdefault(name, {}) if isinstance(at, dict) else None
    if not isinstance(at, dict):
        raise RecipeError(f"--set {text[:80]}: the key leads nowhere; set the whole list or table")
    cast(dict[str | int, Any], at)[last] = read_value(value.strip(), f"--set {key.strip()}")


def _unknown(path: str, asked: Sequence[Entry]) -> Iterator[str]:
    yield f"{shown(path)}: {_there(path)}, and no dataset reads it. Looked for:"
    yield from (f"  {entry.name}: {entry.summary}" for entry in asked)
    if len(asked) > 1:
        yield "a plugin may read it: --plugin FILE; a dataset can be named: --as NAME"


def _there(path: str) -> str:
    """Say what is at a path."""
    place = Path(path)
    try:
        if scheme_of(path) in ("http", "https"):
            return "is no shard or table by its name, and folders at http cannot be listed: name the files"
        if "://" in path:
            return "cannot be told by its name"
        if place.is_file():
            return f"is a file of {place.stat().st_size:,} bytes"
        if not place.is_dir():
            return "does not exist"
        counts = _extensions(place)
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    said = ", ".join(f"{count:,} {extension}" for extension, count in counts.items())
    return f"is a folder with {said}" if said else "is an empty folder"


def _extensions(folder: Path) -> Mapping[str, int]:
    """Count what is in a folder and the folders in it by extension, the most frequent first."""
    names = islice((name for name in folder.glob("**/*") if name.is_file()), _LOOKED_AT)
    counts = Counter(name.suffix.lower() or "without extension" for name in names)
    return dict(counts.most_common(8))
