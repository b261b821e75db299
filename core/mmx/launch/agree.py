"""What one process of several did, and what it failed with, told to all."""

from collections.abc import Callable

from mmx.errors import MmxError
from mmx.parts.engine import Engine


def on_main(engine: Engine, act: Callable[[], None]) -> None:
    """Let the main process do something, and let all processes fail if it fails.

    Raises:
        MmxError: that of the main process.
    """
    error: MmxError | None = None
    if engine.main:
        try:
            act()
        except MmxError as found:
            error = found
    agree_on(engine, error)


def agree_on(engine: Engine, error: MmxError | None) -> None:
    """Raise in every process what any of them failed with; its own where it has one."""
    found = next((one for one in engine.everyone(error) if one is not None), None)
    if found is not None:
        raise error or found
