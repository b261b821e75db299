"""Tokens divided over the tensor-parallel processes (Megatron's sequence parallelism)."""

from typing import cast, final

from colossalai.shardformer.layer._operation import gather_forward_split_backward, split_forward_gather_backward
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from mmx.parts.sharding import TokenSplit
from mmx_colossalai.mesh import Mesh


@final
class MeshTokenSplit(TokenSplit):
    """Equal consecutive parts, zeros behind the last token. The linear layers gather and scatter them."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    @override
    def padded(self, count: int) -> int:
        return count + -count % self._mesh.tensor_size

    @override
    def split(self, tokens: Tensor) -> Tensor:
        padded = functional.pad(tokens, (0, 0, 0, self.padded(tokens.shape[1]) - tokens.shape[1]))
        return cast(Tensor, split_forward_gather_backward(padded, 1, self._mesh.tensor))

    @override
    def join(self, tokens: Tensor, count: int) -> Tensor:
        return cast(Tensor, gather_forward_split_backward(tokens, 1, self._mesh.tensor))[:, :count]
