"""``pack.jsonl``: what a folder of shards is made of and which of them are done, so that the work can go on after a stop."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast, final

from mmx.checkpoint.atomic import sync_folder, write_all, write_bytes
from mmx.data.views import Skipped
from mmx.errors import DataError
from mmx_data.shard import ShardDone

NAME: Final = "pack.jsonl"
SKIPPED: Final = "skipped.jsonl"
PER_SHARD: Final = "samples_per_shard"
Plan = Mapping[str, Any]
"""What was asked for: plain values that must be the same when the work goes on."""


@final
class Journal:
    """Held by one process at a time: ``with Journal(folder) as journal``. The folder is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: dict[str, Any] = {}
        self.done: dict[str, ShardDone] = {}
        self._handle = -1

    def __enter__(self) -> Self:
        """Open it, and read what is done.

        Raises:
            DataError: the folder has other things in it, cannot be written, or another process writes it.
        """
        path = self.folder / NAME
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() and any(self.folder.iterdir()):
                raise DataError(
                    f"{self.folder} is not empty, and has no {NAME}: it was not made by this command; name a new folder"
                )
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_APPEND, 0o644)
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise DataError(f"{self.folder} is being written by another process; wait for it, or stop it") from None
        except OSError as error:
            raise DataError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def compare(self, plan: Plan) -> None:
        """Check that what is asked for is what was asked for, if anything was.

        Raises:
            DataError: it is not; the message has what differs.
        """
        asked = _copied(plan)
        differs = [
            f"{name} = {_shown(self.plan.get(name))}, now {_shown(asked.get(name))}"
            for name in dict.fromkeys([*self.plan, *asked])
            if name != PER_SHARD and self.plan.get(name) != asked.get(name)
        ]
        if self.plan and differs:
            raise DataError(
                f"{self.folder} holds shards of another source or other options: {'; '.join(differs)}. Give the same "
                "command to go on with them, or name a new folder"
            )

    def begin(self, plan: Plan, per_shard: int) -> None:
        """Write what is asked for, unless it was before."""
        if not self.plan:
            self.plan = {**_copied(plan), PER_SHARD: per_shard}
            self._append(self.plan)
            sync_folder(self.folder)

    @property
    def per_shard(self) -> int | None:
        """Samples of a shard, as chosen when the work began."""
        return self.plan.get(PER_SHARD)

    def add(self, shard: str, done: ShardDone) -> None:
        """Note a shard that is in its place."""
        sync_folder(self.folder)
        self._append(_line(shard, done))
        self.done[shard] = done

    def finished(self, shard: str) -> bool:
        """Say whether a shard is done and still there."""
        path = self.folder / shard
        return shard in self.done and path.is_file() and path.stat().st_size == self.done[shard].bytes

    def seal(self, shards: Iterable[str]) -> None:
        """Put the lines in the order of the shards, whatever the order in which they were done; list what was skipped."""
        lines = [self.plan, *(_line(shard, self.done[shard]) for shard in shards)]
        write_bytes(self.folder / NAME, b"".join(map(_encoded, lines)))
        self.list_skipped(shards)

    def list_skipped(self, shards: Iterable[str]) -> None:
        """Write the samples that were skipped in shards that are done."""
        bad = [
            {"shard": shard, **_plain(one)} for shard in shards if shard in self.done for one in self.done[shard].bad
        ]
        write_bytes(self.folder / SKIPPED, b"".join(map(_encoded, bad)))

    def _read(self) -> None:
        # By this handle alone: where another one of the same file is closed, the system lets go of the lock.
        whole, mark, _ = os.pread(self._handle, os.fstat(self._handle).st_size, 0).rpartition(b"\n")
        os.ftruncate(self._handle, len(whole) + len(mark))  # the last line may be half written
        try:
            lines = [cast(dict[str, Any], json.loads(line)) for line in whole.splitlines()]
            self.plan = lines[0] if lines else {}
            for line in lines[1:]:
                bad = [Skipped(item["key"], item["reason"]) for item in line["bad"]]
                self.done[line["shard"]] = ShardDone(
                    line["written"], line["bytes"], line["sha256"], line["several"], bad
                )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.folder / NAME} is damaged: {error}; name a new folder") from None

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            write_all(self._handle, _encoded(line))
            os.fsync(self._handle)
        except OSError as error:
            raise DataError(f"{self.folder / NAME} cannot be written: {error.strerror or error}") from error


def _line(shard: str, done: ShardDone) -> dict[str, Any]:
    return {"shard": shard, **asdict(done), "bad": [_plain(bad) for bad in done.bad]}


def _plain(bad: Skipped) -> dict[str, str]:
    return {"key": bad.key, "reason": bad.reason}


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _copied(plan: Plan) -> dict[str, Any]:
    """Return a plan as it comes back from JSON."""
    return cast(dict[str, Any], json.loads(json.dumps(plan)))


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
