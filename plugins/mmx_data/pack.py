"""From any dataset of stored pictures to tar shards: on all cores, and again from where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmx.data.keep import dropped
from mmx.data.stored import StoredDataset
from mmx.errors import DataError, MissingPackageError
from mmx_data.journal import Journal
from mmx_data.keys import keys_of
from mmx_data.packed import Packed
from mmx_data.plan import PackOptions, Part, per_shard, plan_of, shards_of
from mmx_data.pool import each
from mmx_data.progress import Progress
from mmx_data.shard import ShardTask, write_shard
from mmx_data.source import Source


def pack(
    source: Source,
    dataset: StoredDataset,
    folder: Path,
    parts: Callable[[], Sequence[Part]],
    options: PackOptions,
    asked: Mapping[str, Any],
    progress: Progress,
) -> Packed:
    """Write samples into shards. Which samples go into which shard depends on their order and on the options only.

    Args:
        source: where they come from.
        dataset: the same, built.
        folder: where shards go; it must be new, empty, or one that the same command began.
        parts: says which samples go into shards of which name.
        options: how.
        asked: what else the shards depend on, and so must be the same where the work goes on.
        progress: is told how far it is.

    Raises:
        DataError: the source cannot be read, the folder cannot be written or holds something else, or no sample can
            be used.
        MissingPackageError: webdataset is not installed.
    """
    if find_spec("webdataset") is None:
        raise MissingPackageError(
            "writing shards needs the package webdataset, which is not installed: pip install 'mmx[pack]'"
        )
    if not len(dataset):
        raise DataError(f"{source.path}: there are no samples")
    with Journal(folder) as journal:
        progress.start("keys", len(dataset))
        keys = keys_of(dataset, progress.tick)
        plan = {**plan_of(source, dataset, keys, options), **asked}
        journal.compare(plan)
        per = options.shard_samples or journal.per_shard or per_shard(dataset, options, source.largest)
        journal.begin(plan, per)
        shards = {part.pattern: shards_of(part, per) for part in parts()}
        tasks = [
            ShardTask(folder / name, indices, keys.among(indices), options.how, source.largest)
            for found in shards.values()
            for name, indices in found.items()
        ]
        before = _write(dataset, tasks, journal, options.workers, progress)
        done = {pattern: [journal.done[name] for name in found] for pattern, found in shards.items()}
    return Packed(folder, done, keys, before, dropped(dataset))


def _write(
    dataset: StoredDataset, tasks: Sequence[ShardTask], journal: Journal, workers: int, progress: Progress
) -> int:
    """Write what is not there yet; return how many shards were."""
    names = [task.path.name for task in tasks]
    left = [task for task in tasks if not journal.finished(task.path.name)]
    total = sum(len(task.indices) for task in tasks)
    progress.start("packing", total, total - sum(len(task.indices) for task in left))
    _clean(journal.folder)
    try:
        for place, done in each(dataset, write_shard, left, workers, progress.tick):
            journal.add(left[place].path.name, done)
    except BaseException:
        with suppress(OSError):
            journal.list_skipped(names)
        raise
    finally:
        _clean(journal.folder)
    journal.seal(names)
    bad = [bad for name in names for bad in journal.done[name].bad]
    if len(bad) == total:
        raise DataError(f"none of the {total:,} samples can be used; {bad[0].key}: {bad[0].reason}")
    return len(tasks) - len(left)


def _clean(folder: Path) -> None:
    """Remove what processes that were ended left half written."""
    with suppress(OSError):
        for stale in folder.glob(".*.tmp"):
            stale.unlink(missing_ok=True)
