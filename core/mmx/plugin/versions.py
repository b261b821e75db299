"""Versions of what is installed, without importing it."""

from __future__ import annotations

from importlib import metadata


def version(distribution: str) -> str:
    """Return the version of an installed distribution, or say that it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def mmx_version() -> str:
    """Return the version of mmx."""
    return version("mmx")
