"""Reading stored samples one after the other; those that cannot be used come back by name, with the reason."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from mmx.data.stored import StoredDataset, blamed
from mmx.data.views import Skipped
from mmx.errors import DataError, MmxError, PluginError
from mmx.parts.dataset import BadSampleError, Raw

Made = TypeVar("Made")
_AHEAD: Final = 64
"""Samples that a dataset is told of before they are read."""


@dataclass(frozen=True)
class Unread:
    """A sample that cannot be used, and which one it is."""

    index: int
    bad: Skipped


def samples(
    dataset: StoredDataset, indices: Sequence[int], make: Callable[[int, Raw], Made]
) -> Iterator[Made | Unread]:
    """Yield what ``make`` makes of each sample and its index; it may raise BadSampleError too.

    Raises:
        DataError: the data cannot be read, or memory ran out.
        PluginError: the dataset fails with an error that is not meant for users.
    """
    for start in range(0, len(indices), _AHEAD):
        if start == 0:
            dataset.ahead(indices[:_AHEAD])
        if start + _AHEAD < len(indices):
            dataset.ahead(indices[start + _AHEAD : start + 2 * _AHEAD])
        for index in indices[start : start + _AHEAD]:
            yield _one(dataset, index, make)


def _one(dataset: StoredDataset, index: int, make: Callable[[int, Raw], Made]) -> Made | Unread:
    key = dataset.key(index)
    try:
        raw = dataset.raw(index)
        with blamed(raw):
            return make(index, raw)
    except BadSampleError as error:
        return Unread(index, Skipped(key, str(error).removeprefix(f"{key}: ")))
    except MmxError:
        raise
    except MemoryError as error:
        raise DataError(f"memory ran out at the sample {key}: try again with fewer --workers") from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise PluginError(
            f"the dataset fails on the sample {key}: {type(error).__name__}: {error} ({place.filename}:{place.lineno}); "
            "one that cannot be used should raise BadSampleError"
        ) from error
