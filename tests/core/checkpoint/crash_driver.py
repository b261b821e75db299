"""Saves one checkpoint again and again, with a fault at every call that changes the disk. Runs without torch.

Usage: crash_driver.py FOLDER. For every saver and mode, and for every n, the run in FOLDER/base (for "first": in
FOLDER/empty) is copied to FOLDER/out/<saver>/<mode>/<n>, and the files of FOLDER/payload are saved there as step 4 by
a forked process whose n-th call has the fault.
Prints JSON: for each saver and mode the outcome of each n, and the calls of a save without a fault.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmx.checkpoint.content import Content
from mmx.checkpoint.manifest import Manifest, Record
from mmx.checkpoint.store import Store
from mmx.errors import CheckpointError

STEP, SCORE = 4, 0.9
FROZEN = "frozen.safetensors"
"""The file of the payload that goes to the run's folder ``frozen/``."""
CALLS = ("open", "write", "fsync", "rename", "replace", "unlink", "mkdir", "rmdir")
MODES = ("kill before", "kill after", "torn write", "no space", "no space from then on", "error", "short write")
LIMIT = 400
Saver = Callable[[Path, dict[str, bytes]], None]


class Faults:
    """Wraps the calls of ``os`` that change the disk; the n-th of them gets the fault."""

    def __init__(self, at: int, mode: str, tell: int) -> None:
        self.at, self.mode, self.tell = at, mode, tell
        self.write = os.write
        self.count = 0
        self.trace: list[tuple[str, str]] = []
        self.paths: dict[int, str] = {}

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self.wrap(name, getattr(os, name)))

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return self.remember(args[0], real(*args, **kwargs))
            self.count += 1
            self.trace.append((name, self.paths.get(args[0], "?") if type(args[0]) is int else str(args[0])))
            if self.count == self.at:
                self.write(self.tell, b"!")
                return self.fault(name, real, args, kwargs)
            if self.mode == "no space from then on" and 0 < self.at < self.count and name in ("open", "write", "mkdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))
            result = real(*args, **kwargs)
            return self.remember(args[0], result) if name == "open" else result

        return call

    def remember(self, path: object, handle: int) -> int:
        self.paths[handle] = str(path)
        return handle

    def fault(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.mode == "kill before":
            die()
        if self.mode in ("no space", "no space from then on"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))
        if self.mode == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(args[0]))
        if name == "write":
            args = (args[0], args[1][: max(1, len(args[1]) // 2)])
        try:
            result = real(*args, **kwargs)
        finally:
            if self.mode in ("kill after", "torn write"):
                die()
        return self.remember(args[0], result) if name == "open" else result


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def save_with_store(run: Path, files: dict[str, bytes]) -> None:
    """The saver under test."""
    contents = {name: Content.of(data) for name, data in files.items() if name != FROZEN}
    Store(run, keep_last=2, keep_best=True).write(STEP, contents, SCORE, {"model": Content.of(files[FROZEN])})


def save_in_place(run: Path, files: dict[str, bytes]) -> None:
    """A careless saver, which the same faults must catch: one folder, each file written over the old one."""
    folder = run / "checkpoints" / "step-00000003"
    for old in run.glob("checkpoints/step-*"):
        if old != folder:
            for path in old.iterdir():
                os.unlink(path)
            os.rmdir(old)
    for name, data in {**files, "MANIFEST.json": manifest_of(files)}.items():
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(handle, data)
        os.fsync(handle)
        os.close(handle)


def manifest_of(files: dict[str, bytes]) -> bytes:
    records = {name: Record.of(data) for name, data in files.items()}
    return Manifest(format=1, mmx="", step=STEP, score=SCORE, recipe="", files=records).encode()


def attempt(saver: Saver, run: Path, files: dict[str, bytes], faults: Faults) -> int:
    """Save in a forked process; return its wait status."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 1
    try:
        faults.install()
        saver(run, files)
        code = 0
    except (CheckpointError, OSError) as error:
        code = 5 if isinstance(error, CheckpointError) else 4
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def outcome(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"signal {os.WTERMSIG(status)}"
    return {0: "saved", 4: "OSError", 5: "CheckpointError"}.get(os.WEXITSTATUS(status), "traceback")


def enumerate_points(saver: Saver, mode: str, base: Path, files: dict[str, bytes], out: Path) -> list[str]:
    """Put the fault at call 1, 2, ... until a save has fewer calls than that; return the outcome of each."""
    found: list[str] = []
    for at in range(1, LIMIT):
        run = out / str(at)
        shutil.copytree(base, run)
        reader, writer = os.pipe()
        status = attempt(saver, run, files, Faults(at, mode, writer))
        os.close(writer)
        fired = os.read(reader, 1) == b"!"
        os.close(reader)
        if not fired:
            shutil.rmtree(run)
            return found
        found.append(outcome(status))
    raise AssertionError(f"{mode}: more than {LIMIT} calls")


def trace(base: Path, files: dict[str, bytes], out: Path) -> list[tuple[str, str]]:
    """Return the calls of a save without a fault, in order, with paths from the run's folder."""
    shutil.copytree(base, out)
    faults = Faults(0, "", -1)
    before = {name: getattr(os, name) for name in CALLS}
    faults.install()
    save_with_store(out, files)
    for name, real in before.items():
        setattr(os, name, real)
    return [(name, os.path.relpath(path, out)) for name, path in faults.trace]


def main(folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in sorted((folder / "payload").iterdir())}
    base, empty, out = folder / "base", folder / "empty", folder / "out"
    report: dict[str, Any] = {"trace": trace(base, files, out / "trace")}
    for name, saver, start, modes in (
        ("store", save_with_store, base, MODES),
        ("first", save_with_store, empty, MODES[:3]),
        ("in place", save_in_place, base, MODES[:3]),
    ):
        report[name] = {mode: enumerate_points(saver, mode, start, files, out / name / mode) for mode in modes}
    assert "torch" not in sys.modules
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
