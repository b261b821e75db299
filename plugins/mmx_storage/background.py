"""Where requests are made: an event loop in a thread that no process ever waits for when it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, final

from typing_extensions import override

from mmx.data.heartbeat import beat

if TYPE_CHECKING:
    from mmx_storage.store import Store

AT_ONCE: Final = 16
"""Requests that a process makes at the same time."""
_WAIT: Final = 0.5
"""Seconds after which a process that waits shows that it does."""
P = ParamSpec("P")
T = TypeVar("T")


@final
class _Daemons(ThreadPoolExecutor):
    """Runs each call in a thread that does not keep the process alive. asyncio accepts no executor of another class.

    The threads of its own would be joined at exit, and one may hang in DNS or in a server that does not answer.
    """

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = Future[T]()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        Thread(target=work, name="mmx storage", daemon=True).start()
        return future


@final
class Background:
    """The loop of this process, and what its requests share."""

    def __init__(self) -> None:
        self.loop = new_loop()
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.stores: dict[str, Store] = {}


def new_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_Daemons())
    # What a request failed with is given to whoever reads; the rest is about connections that end with the process.
    loop.set_exception_handler(_pass_over)
    Thread(target=loop.run_forever, name="mmx storage", daemon=True).start()
    return loop


def _pass_over(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    pass


@final
class _Here:
    """Holds this process's background."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.background: Background | None = None
        self.inherited = list[Background]()

    def forked(self) -> None:
        """Begin anew in a forked process, which has no copy of the thread.

        The parent's is kept: closing its connections here would take them out of the parent's selector.
        """
        self.lock = Lock()
        if self.background is not None:
            self.inherited.append(self.background)
            self.background = None


_HERE: Final = _Here()
os.register_at_fork(after_in_child=_HERE.forked)


def background() -> Background:
    """Return this process's background, started when first needed."""
    with _HERE.lock:
        if _HERE.background is None:
            _HERE.background = Background()
        return _HERE.background


def fetched(request: Coroutine[Any, Any, T], here: Background) -> T:
    """Make a request on the loop and return what it gives, however long that takes: it has limits of its own."""
    future = asyncio.run_coroutine_threadsafe(request, here.loop)
    while not wait((future,), timeout=_WAIT).done:
        beat()
    return future.result()
