"""Capturing and replaying the global random state, so that a second forward draws the same dropout."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """The generator states of the CPU and, where the device is a GPU, of that GPU."""

    cpu: Tensor
    gpu: Tensor | None

    @staticmethod
    def capture(device: torch.device) -> "RandomState":
        """Return the present state."""
        return RandomState(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None)

    def restore(self, device: torch.device) -> None:
        """Go back to this state. A state without a GPU part leaves the GPU's generator as it is."""
        torch.set_rng_state(self.cpu)
        if self.gpu is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.gpu, device)
