"""Tensors as a safetensors file, one at a time: its header is known before the first of them is put together."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import torch
from torch import Tensor

from mmx.checkpoint.content import Content
from mmx.errors import CheckpointError
from mmx.parts.lazy import LazyTensor, Tensors

DTYPES: Final[Mapping[str, torch.dtype]] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "C64": torch.complex64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The format's names of what a tensor consists of."""
RESERVED: Final = "__metadata__"
_NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


def ordered(tensors: Tensors) -> list[str]:
    """Return the names in the order of the file: wide elements first, so that each tensor starts at a multiple of its own."""
    return sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))


def content_of(group: str, tensors: Tensors) -> Content:
    """Return a safetensors file, bit for bit what the tensors hold, row-major. At most one is on the CPU at a time.

    Each name gets bytes of its own: tied tensors, and views of one storage, are written once for each name. They come
    back equal and apart; loading them into a module whose parameters are tied ties them again.

    Raises:
        CheckpointError: a tensor cannot be written (sparse, quantised, on the meta device).
    """
    names = ordered(tensors)
    try:
        header = _header(names, tensors)
    except ValueError as error:
        raise CheckpointError(f"the tensors of '{group}' cannot be written as safetensors: {error}") from error

    def pieces() -> Iterator[bytes | memoryview]:
        yield header
        for name in names:
            yield _bytes(tensors[name])

    return Content(len(header) + sum(size_of(value) for value in tensors.values()), pieces)


def size_of(value: Tensor | LazyTensor) -> int:
    """Return the bytes of a tensor."""
    return math.prod(value.shape) * value.dtype.itemsize


def _header(names: list[str], tensors: Tensors) -> bytes:
    entries: dict[str, object] = {}
    place = 0
    for name in names:
        value = tensors[name]
        _refuse(name, value)
        size = size_of(value)
        entries[name] = {
            "dtype": _NAMES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    data = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    data += b" " * (-len(data) % 8)
    return len(data).to_bytes(8, "little") + data


def _refuse(name: str, value: Tensor | LazyTensor) -> None:
    if name == RESERVED:
        raise ValueError(f"the name '{RESERVED}' belongs to the format; rename the tensor")
    if isinstance(value, Tensor) and (value.layout is not torch.strided or value.is_meta):
        raise ValueError(
            f"'{name}' is {'on the meta device' if value.is_meta else value.layout}; it has no plain bytes"
        )
    if value.dtype not in _NAMES:
        raise ValueError(f"'{name}' is of {value.dtype}, which the format does not know")


def _bytes(value: Tensor | LazyTensor) -> memoryview:
    tensor = value.gather() if isinstance(value, LazyTensor) else value
    assert tensor is not None
    # Lazily conjugated and negated views would be written as what lies in memory, not as what they mean.
    plain = tensor.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
    return memoryview(cast("Any", plain.reshape(-1).view(torch.uint8).numpy())) if plain.numel() else memoryview(b"")
