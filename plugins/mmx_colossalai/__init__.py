"""Many processes through ColossalAI: data, ZeRO, tensor, sequence and pipeline parallelism, on CPUs and GPUs."""

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_colossalai.config import ColossalConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the engine."""
    register(
        "engine",
        "colossalai",
        config=ColossalConfig,
        part="mmx_colossalai.engine:ColossalEngine",
        summary="one process or many: data, ZeRO, tensor, sequence and pipeline parallel",
    )
