"""Tensors as safetensors bytes, and back."""

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from mmx.errors import CheckpointError


def pack(group: str, tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a safetensors file, bit for bit what the tensors hold, on the CPU and row-major.

    Each name gets bytes of its own: tied tensors, and views of one storage, are written once for each name. They come
    back equal and apart; loading them into a module whose parameters are tied ties them again.

    Raises:
        CheckpointError: a tensor cannot be written (sparse, quantised, on the meta device).
    """
    taken: set[int] = set()
    try:
        return safetensors.save({name: _plain(name, tensor, taken) for name, tensor in tensors.items()})
    except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"the tensors of '{group}' cannot be written as safetensors: {error}") from error


def unpack(data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Raises:
        ValueError: the bytes are not one.
    """
    try:
        return safetensors.load(data)
    except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ValueError(f"it is not a safetensors file: {error}") from None


def _plain(name: str, tensor: Tensor, taken: set[int]) -> Tensor:
    if name == "__metadata__":
        raise ValueError("the name '__metadata__' belongs to the format; rename the tensor")
    if tensor.layout is not torch.strided or tensor.is_meta:
        raise ValueError(
            f"'{name}' is {'on the meta device' if tensor.is_meta else tensor.layout}; it has no plain bytes"
        )
    # Lazily conjugated and negated views would be written as what lies in memory, not as what they mean.
    plain = tensor.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
    storage = plain.untyped_storage().data_ptr()
    if storage in taken:
        plain = plain.clone()
    taken.add(plain.untyped_storage().data_ptr())
    return plain
