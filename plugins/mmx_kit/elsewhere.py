"""One spawned process, kept while the kit runs: it shows what a data worker would make of a part."""

import multiprocessing
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from typing import Any, Final, cast, final

from mmx.plugin.files import Carried
from mmx_kit.check import BrokenError

PATIENCE: Final = 120.0
"""Seconds that an answer may take; the first one includes importing torch."""


@final
class Elsewhere:
    """Calls functions in a process that shares nothing with this one."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, function: Callable[..., object], *arguments: Any) -> Any:
        """Return what a function of a module returns there.

        Raises:
            BrokenError: it raises there, ends the process, or does not answer.
        """
        # The plugin files that this process has loaded travel ahead of what needs them.
        self._pipe.send((Carried(), function, arguments))
        try:
            answered = self._pipe.poll(PATIENCE)
            worked, found = self._pipe.recv() if answered else (False, f"no answer within {PATIENCE:g} s")
        except EOFError:
            answered, worked, found = False, False, "the process ended by itself"
        if not answered:
            self._process.kill()
            elsewhere.cache_clear()
        if not worked:
            raise BrokenError(f"in a spawned process: {found}")
        return found


@cache
def elsewhere() -> Elsewhere:
    """Return the process; it is started when first needed, and ends with this one."""
    return Elsewhere()


def _serve(pipe: Connection) -> None:
    while True:
        try:
            _, function, arguments = cast("tuple[Carried, Callable[..., object], tuple[Any, ...]]", pipe.recv())
        except (EOFError, KeyboardInterrupt):
            return
        except Exception as error:  # what was sent cannot be read here
            pipe.send((False, f"{type(error).__name__}: {error}"))
            continue
        try:
            pipe.send((True, function(*arguments)))
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {error}"))
