"""fp64 all the way: where a check runs in fp64, a softmax that a part takes in fp32 on purpose is in fp64 too."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from typing_extensions import override

_GUARDED: Final = ("softmax", "log_softmax", "sum", "mean", "logsumexp")


@final
class Widened(TorchFunctionMode):
    """Gives sums and softmaxes of fp64 numbers in fp64 where they are asked for in fp32, as a guard in half precision.

    Differences in fp64 say nothing of a function that rounds to fp32 within; its formula is the same in both.
    """

    @override
    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        wide = bool(args) and isinstance(args[0], Tensor) and args[0].dtype == torch.float64
        if wide and given.get("dtype") == torch.float32 and getattr(func, "__name__", "") in _GUARDED:
            given["dtype"] = torch.float64
        return func(*args, **given)
