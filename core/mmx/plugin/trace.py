"""``--trace``: every import of a plugin and every hook call, as it happens, with what it was given and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar, final

T = TypeVar("T")


@final
class Trace:
    """Calls plugins, and tells whoever asked of each call."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say

    def call(self, plugin: str, hook: str, values: Mapping[str, object], function: Callable[[], T]) -> T:
        """Call a hook of a plugin; ``values`` are what it is given, by name."""
        if self._say is None:
            return function()
        started = time.perf_counter()
        failed = ""
        try:
            return function()
        except BaseException as error:
            failed = f"  {type(error).__name__}: {error}"
            raise
        finally:
            given = ", ".join(brief(name, value) for name, value in values.items())
            took = 1000 * (time.perf_counter() - started)
            self._say(f"trace: {hook}({given})  {plugin}  {took:.1f} ms{failed}")


def brief(name: str, value: object) -> str:
    """Return a short form of what a hook is given: a whole run or result would fill the screen."""
    match name, value:
        case "run", _:
            return f"run={getattr(value, 'name', '?')}"
        case "step", int():
            return f"step={value}"
        case "step", _:
            return f"step={getattr(value, 'step', '?')}"
        case "results", dict():
            return f"results={', '.join(map(str, value))}"
        case "outcome", _:
            return f"outcome={getattr(value, 'status', '?')}"
        case _:
            return name
