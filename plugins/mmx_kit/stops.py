"""Where gradients end: what a part holds constant on purpose, and where else it cuts them off."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, final

from torch import Tensor, is_grad_enabled
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from mmx.parts.gradient import constant
from mmx_kit.compare import seeded
from mmx_kit.places import caller

_CUTS: Final = ("detach", "detach_", "item", "tolist", "numpy", "__array__", "__float__")
_WHERE: Final = "mmx.parts.gradient.constant(...)"


@final
class Stops(TorchFunctionMode):
    """Gives what was made ``constant`` in the first run again in later ones; a plain ``detach`` is none."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Tensor] = []
        self._runs = 0
        self._next = 0

    @override
    def __enter__(self) -> Self:
        self._runs += 1
        self._next = 0
        return super().__enter__()

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is not constant:
            return found
        if self._runs == 1:
            self._kept.append(found.clone())
            return found
        self._next += 1
        return self._kept[self._next - 1]


@final
class Through(TorchFunctionMode):
    """Lets gradients through what is declared ``constant``."""

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return args[0] if func is constant else func(*args, **(kwargs or {}))


def told_cuts(run: Callable[[], object]) -> str:
    """Say where a run cuts gradients off without declaring it, and how it is declared; empty if it does not.

    Args:
        run: computes something from tensors that require gradients.
    """
    with seeded(0), _Cuts() as cuts:
        run()
    if not cuts.found:
        return ""
    places = ", ".join(f"{place} ({what})" for place, what in cuts.found.items())
    return f"; gradients end at {places}: take that out, or write {_WHERE} around what is constant on purpose"


@final
class _Cuts(TorchFunctionMode):
    """Notes by place what takes a value out of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        what = _cut(func, found)
        place = caller() if what and func is not constant and any(t.requires_grad for t in _tensors(args)) else ""
        if place:
            self.found.setdefault(place, what)
        return found


def _cut(func: Any, found: object) -> str:
    """Name what takes its arguments out of the graph; empty if it does not."""
    if func == Tensor.data.__get__:  # pyright: ignore[reportAttributeAccessIssue]
        return ".data"
    name = str(getattr(func, "__name__", ""))
    if name in _CUTS:
        return name.strip("_")
    return "" if is_grad_enabled() or not isinstance(found, Tensor) or not found.is_floating_point() else "no_grad"


def _tensors(args: Sequence[Any]) -> Iterator[Tensor]:
    for item in args:
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from (one for one in item if isinstance(one, Tensor))
