"""What belongs to the whole process, which no part may change: each piece can be read, and put back."""

import contextlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from PIL import Image, ImageFile

from mmx.plugin.kinds import BUILT
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, Check
from mmx_kit.uses import needs, outcome

_TORCH_NUMBERS: Final = "torch's random numbers (its global generator was drawn from or seeded)"
_PYTHON_NUMBERS: Final = "the random numbers of 'random'"
"""Those that check types in tests draw from it, so it is only looked whether it was seeded."""
_DRAWN: Final = (_TORCH_NUMBERS, _PYTHON_NUMBERS)
_FILTERS: Final = "the warnings filters"


@dataclass(frozen=True)
class Global:
    """One piece of the process's state."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _handlers() -> dict[int, Any]:
    return {int(number): signal.getsignal(number) for number in signal.valid_signals()}


def _handle(handlers: Mapping[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _environ(values: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(values):
        del os.environ[name]
    os.environ.update(values)


def numpy_state() -> tuple[Any, ...]:
    """Return the state of numpy's global generator in a form that can be compared."""
    state: Any = np.random.get_state(legacy=True)
    return tuple(item.tolist() if isinstance(item, np.ndarray) else item for item in state)


def _attribute(owner: Any, name: str) -> Global:
    return Global(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _listed(values: list[Any]) -> Global:
    return Global(lambda: list(values), lambda before: values.__setitem__(slice(None), before))


def _table() -> dict[str, Global]:
    cudnn: Any = torch.backends.cudnn
    return {
        "the default dtype": Global(torch.get_default_dtype, torch.set_default_dtype),
        "the default device": Global(torch.get_default_device, torch.set_default_device),
        "the gradient mode": Global(torch.is_grad_enabled, torch.set_grad_enabled),
        "the deterministic mode": Global(
            torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
        ),
        "the precision of matrix products": Global(
            torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
        ),
        "autocast": Global(
            lambda: torch.is_autocast_enabled("cpu"), lambda enabled: torch.set_autocast_enabled("cpu", enabled)
        ),
        "anomaly detection": Global(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
        "torch.backends.cudnn.deterministic": _attribute(cudnn, "deterministic"),
        "torch.backends.cudnn.benchmark": _attribute(cudnn, "benchmark"),
        "the number of threads": Global(torch.get_num_threads, torch.set_num_threads),
        "signal handlers": Global(_handlers, _handle),
        "the working directory": Global(os.getcwd, os.chdir),
        "the environment": Global(lambda: dict(os.environ), _environ),
        "sys.path": _listed(sys.path),
        "sys.excepthook": _attribute(sys, "excepthook"),
        "threading.excepthook": _attribute(threading, "excepthook"),
        "sys.stdout": _attribute(sys, "stdout"),
        "sys.stderr": _attribute(sys, "stderr"),
        "the recursion limit": Global(sys.getrecursionlimit, sys.setrecursionlimit),
        _FILTERS: Global(lambda: list(warnings.filters), lambda before: _listed(warnings.filters).write(before)),  # pyright: ignore[reportArgumentType]
        "the locale": Global(
            lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)
        ),
        "the umask": Global(_umask, os.umask),
        "Pillow's largest picture": _attribute(Image, "MAX_IMAGE_PIXELS"),
        "whether Pillow reads truncated pictures": _attribute(ImageFile, "LOAD_TRUNCATED_IMAGES"),
        _PYTHON_NUMBERS: Global(random.getstate, random.setstate),
        "numpy's random numbers": Global(numpy_state, np.random.set_state),
        _TORCH_NUMBERS: Global(
            lambda: torch.get_rng_state().tolist(),
            lambda state: torch.set_rng_state(torch.tensor(state, dtype=torch.uint8)),
        ),
    }


def _umask() -> int:
    present = os.umask(0o077)
    os.umask(present)
    return present


@contextlib.contextmanager
def restored() -> Generator[None]:
    """Put back afterwards whatever was changed of the process's state."""
    table = _table()
    before = {name: item.read() for name, item in table.items()}
    try:
        yield
    finally:
        for name, item in table.items():
            if item.read() != before[name]:
                item.write(before[name])


def _kept(case: Case) -> None:
    required = needs(case)
    ends: list[object] = []
    with restored():
        # Libraries that a first use imports may add filters of warnings, so it is used twice.
        for round, filters in enumerate(({_FILTERS}, set[str]())):
            random.seed(round)
            # Building draws weights from torch's generator, and so does training with dropout.
            part = _unchanged("built", {*_DRAWN, *filters}, lambda: case.entry.load()(case.config, *required))
            drawn = set(_DRAWN) if case.kind == "engine" else {_PYTHON_NUMBERS}
            _unchanged("used", {*drawn, *filters}, lambda part=part: outcome(case, part))
            ends.append(random.getstate())
    if ends[0] == ends[1]:
        raise BrokenError("when it is built or used it seeds the random numbers of 'random', which belong to everybody")


def _unchanged(what: str, but: set[str], act: Callable[[], Any]) -> Any:
    table = {name: item for name, item in _table().items() if name not in but}
    before = {name: item.read() for name, item in table.items()}
    found = act()
    for name, item in table.items():
        after = item.read()
        if after != before[name]:
            raise BrokenError(f"when it is {what} it changes {name}{_difference(before[name], after)}")
    return found


def _difference(before: object, after: object) -> str:
    told = f": {before!r} became {after!r}"
    return told if len(told) < 200 else ""


GLOBAL_CHECKS: Final = (
    Check("global state", "building and using it leaves the process's state as it was", BUILT, _kept),
)
