"""Installed distributions, made of nothing but metadata and a module."""

from pathlib import Path

MODULE = """
from mmx.config import LossConfig
from mmx.plugin.hookspecs import hookimpl


class Options(LossConfig):
    sharp: float = 1.0
    \"\"\"How sharp it is.\"\"\"


class Part:
    \"\"\"The loss.\"\"\"


@hookimpl
def mmx_register(register):
    register("loss", "{part}", config=Options, part="{module}:Part", summary="a loss of {module}")
"""


def install(
    folder: Path,
    name: str,
    *,
    code: str = MODULE,
    part: str = "toy",
    version: str = "1.0",
    group: str = "mmx.plugins.v1",
    entry_points: str | None = None,
) -> None:
    """Make a distribution with one module of its name, whose entry point lists one loss."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code.replace("{part}", part).replace("{module}", module))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points or f"[{group}]\nloss.{part} = {module}\n")
