"""The local engine: one process, one device, plain torch."""

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_local.config import LocalConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the engine."""
    register(
        "engine",
        "local",
        config=LocalConfig,
        part="mmx_local.engine:LocalEngine",
        summary="one process on one CPU or GPU, in plain torch",
    )
