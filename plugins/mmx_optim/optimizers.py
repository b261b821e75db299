"""The optimizers as parts: torch's own where it has them, else those beside this file."""

from typing import Any, final

import torch
from typing_extensions import override

from mmx.parts.optimizer import Optimizer
from mmx_optim.configs import AdamWConfig, LambConfig, LionConfig, SgdConfig
from mmx_optim.lamb import LambOptimizer
from mmx_optim.lion import LionOptimizer


@final
class AdamW(Optimizer):
    """``torch.optim.AdamW`` (Loshchilov and Hutter 2019, arXiv:1711.05101)."""

    def __init__(self, config: AdamWConfig) -> None:
        self._config = config

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, betas=self._config.betas, eps=self._config.eps, fused=True)


@final
class Sgd(Optimizer):
    """``torch.optim.SGD``, whose weight decay is added to the gradient."""

    def __init__(self, config: SgdConfig) -> None:
        self._config = config

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, momentum=self._config.momentum, nesterov=self._config.nesterov)


@final
class Lamb(Optimizer):
    """LAMB (You et al. 2020, arXiv:1904.00962), algorithm 2."""

    def __init__(self, config: LambConfig) -> None:
        self._config = config

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return LambOptimizer(groups, betas=self._config.betas, eps=self._config.eps)


@final
class Lion(Optimizer):
    """Lion (Chen et al. 2023, arXiv:2302.06675), algorithm 2."""

    def __init__(self, config: LionConfig) -> None:
        self._config = config

    @override
    def over(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return LionOptimizer(groups, betas=self._config.betas)
