"""The dataset ``huggingface``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

from typing_extensions import override

from mmx.errors import DataError, MissingPackageError
from mmx.parts.dataset import BadSampleError
from mmx_pairs.config_rows import HuggingFaceConfig, missing
from mmx_pairs.pictures import Pictures
from mmx_pairs.rows import Row, Rows
from mmx_pairs.samples import RowsDataset

_SPLITS: Final = "dataset_dict.json"
_ONE: Final = "state.json"
_TOGETHER: Final = 1000


@final
class HuggingFace(RowsDataset):
    """Rows of a Hugging Face dataset. Its pictures are decoded here, not there, and no code of it is run."""

    def __init__(self, config: HuggingFaceConfig) -> None:
        super().__init__(config)
        self.config = config

    @cached_property
    @override
    def parts(self) -> Sequence[tuple[str, Rows, Pictures]]:
        datasets, path = _package(), self.config.path
        root = path if os.path.isdir(path) else str(datasets.config.HF_DATASETS_CACHE)
        # Builders give some pictures as paths of files that they have unpacked.
        pictures = Pictures(
            root, self.config.remote, str(datasets.config.HF_DATASETS_CACHE), self.config.dead_links == "skip"
        )
        return [("", _Rows(_undecoded(_loaded(self.config), datasets), path), pictures)]


@final
class _Rows(Rows):
    def __init__(self, dataset: Any, name: str) -> None:
        self.dataset, self.name = dataset, f"dataset {name}"

    @cached_property
    @override
    def columns(self) -> Sequence[str]:
        return self.dataset.column_names

    @override
    def __len__(self) -> int:
        return len(self.dataset)

    @override
    def row(self, number: int) -> Row:
        if not 0 <= number < len(self):
            raise IndexError(number)
        try:
            return self.dataset[number]
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # formats of columns raise kinds of their own
            column, why = self._at_fault(number, error)
            raise BadSampleError(
                f"{self.place(number)}: {column} cannot be read: {type(why).__name__}: {why}"
            ) from None

    @override
    def scan(self, columns: Sequence[str]) -> Iterator[Row | None]:
        if not columns:
            yield from ({} for _ in range(len(self)))
            return
        dataset = self.dataset.select_columns(list(columns))
        for first in range(0, len(self), _TOGETHER):
            yield from self._some(dataset, range(first, min(first + _TOGETHER, len(self))))

    def _at_fault(self, number: int, error: Exception) -> tuple[str, Exception]:
        for name in self.columns:
            try:
                self.dataset.select_columns([name])[number]
            except MemoryError:
                raise
            except Exception as why:  # as in ``row``
                return f"column {name}", why
        return "it", error

    def _some(self, dataset: Any, numbers: range) -> list[Row | None]:
        try:
            batch = dataset[numbers.start : numbers.stop]
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error}") from None
        except MemoryError:
            raise
        except Exception:  # as in ``row``: all but the rows that are at fault
            if len(numbers) == 1:
                return [None]
            return [row for number in numbers for row in self._some(dataset, range(number, number + 1))]
        return [dict(zip(batch, cells, strict=True)) for cells in zip(*batch.values(), strict=True)]


def _package() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingPackageError(missing("datasets", "hf")) from None
    return datasets


def _loaded(config: HuggingFaceConfig) -> Any:
    """Load the split.

    Raises:
        DataError: there is none, or it cannot be loaded.
    """
    datasets, folder = _package(), Path(config.path)
    try:
        if (folder / _SPLITS).is_file():
            splits = datasets.load_from_disk(str(folder))
            if config.split not in splits:
                raise DataError(f"dataset {folder} has no split '{config.split}' (it has: {', '.join(splits)})")
            return splits[config.split]
        if (folder / _ONE).is_file():
            return datasets.load_from_disk(str(folder))
        return datasets.load_dataset(config.path, config.subset, split=config.split, revision=config.revision)
    except DataError:
        raise
    except Exception as error:  # the library raises many kinds, for names, splits, networks and files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason was given"
        raise DataError(
            f"dataset {config.path}, split {config.split}, cannot be loaded: {type(error).__name__}: {reason}"
        ) from None


def _undecoded(dataset: Any, datasets: Any) -> Any:
    """Leave pictures as they are stored, and leave out other columns that would be decoded."""
    dataset = dataset.with_format(None)
    for name, feature in dataset.features.items():
        if isinstance(feature, datasets.Image):
            dataset = dataset.cast_column(name, datasets.Image(decode=False))
        elif hasattr(feature, "decode_example"):
            dataset = dataset.remove_columns([name])
    return dataset
