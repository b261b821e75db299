"""Run as a script in a fresh process: imports a plugin's modules and tells what that did. Imports nothing of the kit.

Reads one JSON object from standard input and writes one to standard output; see :mod:`mmx_kit.imports`.
What is blamed on a plugin is what its own code does: not that of the libraries which it imports.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

WORK = (
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chdir", "os.putenv", "os.unsetenv", "os.system"),
    *("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.kill", "os.link", "os.symlink", "os.truncate"),
    *("subprocess.Popen", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.__new__"),
    *("_thread.start_new_thread", "tempfile.mkstemp", "tempfile.mkdtemp", "urllib.Request", "shutil.rmtree"),
)
"""Audit events that importing a module does not need."""
UNLIKELY = 716_223_919
"""A seed."""


class Watch:
    """Notes what the plugin's own code does while it is on."""

    def __init__(self, own: set[str]) -> None:
        self.own = own
        self.on = False
        self.found: list[str] = []
        self.start = Start()
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an audit event."""
        if self.on and (event in WORK or (event == "open" and writes(arguments))):
            self.note(f"{event}({', '.join(repr(item)[:80] for item in arguments[:2])})")

    def write(self, text: str) -> int:
        """Take what is printed."""
        if self.on and text.strip():
            self.note(f"prints {text.strip()[:80]!r}")
        return len(text)

    def flush(self) -> None:
        """Have nothing to flush."""

    def note(self, what: str) -> None:
        """Keep something if the plugin's own code did it, with the line that did."""
        frame = sys._getframe(1)
        while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
            if str(frame.f_globals.get("__name__")).partition(".")[0] in self.own:
                self.found.append(f"{what} at {place(frame)}")
                return
            frame = frame.f_back

    def importing(self, load: Callable[[], object]) -> dict[str, Any]:
        """Import something, and tell what it did, how long it computed, and the error if it failed."""
        self.found, error = [], ""
        threads = set(threading.enumerate())
        started, self.on = time.process_time(), True
        try:
            load()
        except BaseException as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            self.on = False
        seconds, torch = time.process_time() - started, "torch" in sys.modules
        work = [*self.found, *(f"leaves the thread {thread.name}" for thread in set(threading.enumerate()) - threads)]
        return {
            "seconds": seconds,
            "work": work + ([] if error else self.changes(load)),
            "error": error,
            "torch": torch,
        }

    def changes(self, load: Callable[[], object]) -> list[str]:
        """Import it again, from a known state, and tell what that changes: its libraries are there already."""
        kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in self.own}
        for name in kept:
            del sys.modules[name]
        self.start.put_back()
        before = state()
        try:
            load()
        except BaseException:  # what cannot be imported twice, such as an operator of torch
            return []
        finally:
            sys.modules.update(kept)
        after = state()
        return [f"changes {name}" for name in before if name in after and after[name] != before[name]]


class Start:
    """The state of the process before a plugin was imported."""

    def __init__(self) -> None:
        self.handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self.hook, self.limit = sys.excepthook, sys.getrecursionlimit()
        self.path, self.filters = list(sys.path), list(warnings.filters)

    def put_back(self) -> None:
        """Go back to it, with random numbers and settings of torch that no plugin is likely to choose."""
        for number, handler in self.handlers.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)
        sys.excepthook, sys.path[:] = self.hook, self.path
        sys.setrecursionlimit(self.limit)
        warnings.filters[:] = self.filters  # pyright: ignore[reportIndexIssue]
        random.seed(UNLIKELY)
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if numpy is not None:
            numpy.random.seed(UNLIKELY)
        if torch is not None and hasattr(torch, "manual_seed"):
            torch.manual_seed(UNLIKELY)
            torch.set_default_dtype(torch.float32)
            torch.set_grad_enabled(True)
            torch.use_deterministic_algorithms(False)
            torch.set_num_threads(3)


def writes(arguments: tuple[Any, ...]) -> bool:
    """Say whether an ``open`` may change a file."""
    _, mode, flags = arguments
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def place(frame: FrameType) -> str:
    """Name the line a frame is at."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def state() -> dict[str, object]:
    """Return the process's state that importing must not change and that no audit event tells of."""
    found: dict[str, object] = {
        "signal handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "sys.excepthook": sys.excepthook,
        "the random numbers of 'random'": random.getstate(),
        "the recursion limit": sys.getrecursionlimit(),
        "sys.path": list(sys.path),
        "the warnings filters": list(warnings.filters),
    }
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        found["numpy's random numbers"] = str(numpy.random.get_state())
    if torch is not None and hasattr(torch, "get_rng_state"):
        found["torch's random numbers"] = torch.get_rng_state().tolist()
        found["torch's default dtype"] = str(torch.get_default_dtype())
        found["torch's gradient mode"] = torch.is_grad_enabled()
        found["torch's deterministic mode"] = torch.are_deterministic_algorithms_enabled()
        found["torch's number of threads"] = torch.get_num_threads()
    return found


def load_entry(entry: str, file: str | None) -> object:
    """Import the module with the hooks, and let it register its parts, as a listing does."""
    from mmx.plugin.files import load

    module: Any = import_module(entry) if file is None else load(Path(file))
    register = getattr(module, "mmx_register", None)
    return register(listener()) if register else None


def listener() -> object:
    """Return a registrar that takes every part, of kinds of other plugins too, and keeps none."""
    from mmx.plugin.kinds import Kind
    from mmx.plugin.registry import Registrar, Registries

    class Listener(Registrar):
        def __call__(self, *arguments: Any, **options: Any) -> None:
            """Keep nothing."""

        def kind(self, row: Kind) -> None:
            """Keep nothing."""

    return Listener(Registries(), "probe")


def main() -> None:
    """Answer one question."""
    answer = os.fdopen(os.dup(1), "w")
    asked = json.load(sys.stdin)
    for module in (
        "mmx.config",
        "mmx.plugin.registry",
        "mmx.plugin.hookspecs",
        "mmx.plugin.files",
        "importlib.metadata",
    ):
        import_module(module)
    own = next(iter(asked["files"]), None)
    for file in asked["beside"]:  # before it is watched: not the plugin's own work
        import_module("mmx.plugin.files").load(Path(file))
    watch = Watch({name.partition(".")[0] for name in (asked["entry"], *asked["parts"])})
    sys.stdout = sys.stderr = watch  # pyright: ignore[reportAttributeAccessIssue]
    found: dict[str, Any] = {"entry": watch.importing(lambda: load_entry(asked["entry"], own)), "parts": {}}
    for module in asked["parts"]:
        found["parts"][module] = watch.importing(lambda module=module: import_module(module))
    json.dump(found, answer)
    answer.flush()
    # What a plugin left running must not keep this process.
    os._exit(0)


if __name__ == "__main__":
    main()
