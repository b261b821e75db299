"""The pixels of a decoded picture as a tensor, without copying them."""

import ctypes
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

_CHANNELS: Final = 4
"""Pillow keeps four bytes for each pixel of an RGB picture."""


class _Array(ctypes.Structure):
    """The ``ArrowArray`` of Arrow's C data interface."""

    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        ("children", ctypes.POINTER(ctypes.c_void_p)),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def shared(picture: Image.Image) -> UInt8[Tensor, "3 h w"]:
    """Return the pixels of an RGB picture, in Pillow's own memory where that is one piece: do not write into them.

    Copying them out, and their padding byte away, takes longer than reducing a picture of 1,000 pixels to the model's size.
    """
    try:
        _, array = picture.__arrow_c_array__()
    except ValueError:  # Pillow keeps a picture of more than 4 million pixels in several pieces
        return torch.as_tensor(np.array(picture)).permute(2, 0, 1)
    outer = _Array.from_address(_pointer(array, b"arrow_array"))
    inner = ctypes.cast(outer.children[0], ctypes.POINTER(_Array)).contents
    size = picture.height * picture.width * _CHANNELS
    memory = (ctypes.c_uint8 * size).from_address(inner.buffers[1])
    memory.owner = array  # pyright: ignore[reportAttributeAccessIssue] - the picture lives as long as its pixels
    pixels = torch.frombuffer(memory, dtype=torch.uint8).view(picture.height, picture.width, _CHANNELS)
    return pixels.permute(2, 0, 1)[:3]


def whole(pixels: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "c h w"]:
    """Return pixels with the padding byte beside each of them where there is one: torch resizes those without a copy."""
    if pixels.stride(0) == 1 and pixels.stride(2) == _CHANNELS:
        return pixels.as_strided((_CHANNELS, *pixels.shape[1:]), pixels.stride())
    return pixels
