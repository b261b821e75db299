"""Pictures and captions in tar shards (the webdataset layout)."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_shards.configs import ShardsConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the dataset."""
    register(
        "dataset",
        "shards",
        config=ShardsConfig,
        part="mmx_shards.dataset:Shards",
        summary="pictures and captions in tar shards (webdataset layout), local or at any fsspec URL",
    )
