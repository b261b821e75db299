"""How one process of many ends."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress


@contextmanager
def leaving() -> Generator[None]:
    """Let the process end right after what is registered with ``atexit`` has run, with its exit code.

    Threads of torch.distributed may want the interpreter while it is being taken down. Then the C++ runtime ends the
    process by SIGABRT, which looks like a failure of what was done. So the interpreter is not taken down.
    """
    code = 1

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(end)  # the first to be registered is the last to run
    try:
        yield
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        raise
