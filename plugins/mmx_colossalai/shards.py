"""From a process's part of a tensor to the whole one, and back: what makes checkpoints free of the layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from mmx_colossalai.mesh import Mesh


@dataclass(frozen=True)
class Slice:
    """How a tensor is divided over tensor-parallel processes."""

    dim: int
    fused: int
    """Equal tensors that it consists of along ``dim``; each of them is divided."""

    def of(self, whole: Tensor, rank: int, size: int) -> Tensor:
        """Return a rank's part."""
        return torch.cat([part.chunk(size, self.dim)[rank] for part in whole.chunk(self.fused, self.dim)], self.dim)

    def joined(self, parts: list[Tensor]) -> Tensor:
        """Return the whole of all ranks' parts."""
        split = [part.chunk(self.fused, self.dim) for part in parts]
        return torch.cat([rank[index] for index in range(self.fused) for rank in split], self.dim)


@dataclass(frozen=True)
class Known:
    """A tensor of the objective as it was before it was divided."""

    shape: torch.Size
    dtype: torch.dtype
    stage: int
    """The pipeline stage whose value counts."""


@final
class Shards:
    """Knows how each named tensor lies on the processes. Gathering and taking apart is done by all of them at once."""

    def __init__(self, mesh: Mesh, known: Mapping[str, Known], cut: Mapping[str, Slice]) -> None:
        self.known = known
        self._mesh = mesh
        self._cut = cut if mesh.tensor_size > 1 else {}

    def is_cut(self, name: str) -> bool:
        """Say whether tensor-parallel processes hold different parts of it."""
        return name in self._cut

    def local_shape(self, name: str) -> torch.Size:
        """Return the shape of this process's part."""
        shape = list(self.known[name].shape)
        if name in self._cut:
            shape[self._cut[name].dim] //= self._mesh.tensor_size
        return torch.Size(shape)

    def here(self, name: str) -> bool:
        """Say whether this process's stage has the value that counts."""
        return self.known[name].stage == self._mesh.stage

    def piece(self, name: str, whole: Tensor, flat: bool) -> Tensor:
        """Return this process's part of a whole tensor; with ``flat``, its ZeRO share of that."""
        mesh = self._mesh
        part = self._cut[name].of(whole, mesh.tensor_rank, mesh.tensor_size) if name in self._cut else whole
        if not flat:
            return part.to(mesh.device)
        row = part.reshape(-1)
        padded = functional.pad(row, (0, -len(row) % mesh.data_size))
        return padded.chunk(mesh.data_size)[mesh.data_rank].to(mesh.device)

    def whole(self, name: str, part: Tensor | None, flat: bool, dtype: torch.dtype | None = None) -> Tensor | None:
        """Return the whole tensor on the main process, None on others.

        Args:
            name: the parameter or buffer.
            part: what this process has; heeded only where the value of its stage counts.
            flat: whether it is a ZeRO share.
            dtype: of the whole; that of the tensor before it was divided if not given.
        """
        mesh, known = self._mesh, self.known[name]
        dtype = known.dtype if dtype is None else dtype
        found = None
        if self.here(name):
            assert part is not None
            found = self._unflat(name, part) if flat else part
            found = self._uncut(name, found).to(dtype)
        if mesh.stages > 1 and known.stage != 0 and mesh.data_rank == 0 and mesh.tensor_rank == 0:
            found = self._to_first_stage(known, found, dtype)
        return None if mesh.rank != 0 or found is None else found.detach().cpu()

    def _unflat(self, name: str, share: Tensor) -> Tensor:
        mesh, shape = self._mesh, self.local_shape(name)
        row = share.new_empty(len(share) * mesh.data_size)
        dist.all_gather(list(row.chunk(mesh.data_size)), share.contiguous(), group=mesh.data)
        return row[: shape.numel()].view(shape)

    def _uncut(self, name: str, part: Tensor) -> Tensor:
        if name not in self._cut:
            return part
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(self._mesh.tensor_size)]
        dist.all_gather(parts, part.contiguous(), group=self._mesh.tensor)
        return self._cut[name].joined(parts)

    def _to_first_stage(self, known: Known, found: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        mesh = self._mesh
        if mesh.stage == known.stage:
            assert found is not None
            dist.send(found.contiguous(), dst=mesh.of_stage(0))
        elif mesh.stage == 0:
            found = torch.empty(known.shape, dtype=dtype, device=mesh.device)
            dist.recv(found, src=mesh.of_stage(known.stage))
        return found
