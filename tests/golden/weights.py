"""Weights, pixels and probes by formula, so that golden values need no weight files."""

import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor


def weight(name: str, shape: Sequence[int]) -> Tensor:
    """Return fp64 numbers that depend on the name and the shape alone; gains and variances are near 1.

    Whole numbers are hashed, so that the values are the same bit for bit everywhere.
    """
    mixed = torch.arange(math.prod(shape), dtype=torch.int64) + 1_000_003 * zlib.crc32(name.encode())
    for factor in (6_364_136_223_846_793_005, 1_442_695_040_888_963_407):
        mixed = mixed * factor
        mixed = mixed ^ (mixed >> 31)
    values = (mixed & 0xFFFFFF).double() / 0x800000 - 1
    gain = len(shape) == 1 and name.endswith((".weight", ".running_var"))
    return (1 + 0.3 * values if gain else 0.3 * values).reshape(list(shape))
