"""The embedded data: 1,906 Unicode concepts, each drawn by several artists."""

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_quickstart.config import EmojiConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the dataset."""
    register(
        "dataset",
        "emoji",
        config=EmojiConfig,
        part="mmx_quickstart.dataset:Emoji",
        summary="1,906 concepts drawn by Noto, Twemoji, OpenMoji and Fluent, with names and tags; ships with mmx",
    )
