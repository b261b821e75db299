"""A package as an editable install leaves it, without pip: its metadata in a folder, and its sources on the path."""

from __future__ import annotations

import tomllib
from pathlib import Path


def install(package: Path, site: Path) -> Path:
    """Write the metadata of a package with a pyproject.toml into a folder on the path; return where its sources are."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines: list[str] = []
    for group, points in project.get("entry-points", {}).items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    sources = package / "src" if (package / "src").is_dir() else package
    (site / f"{name}.path").write_text(f"{sources}\n", encoding="utf-8")
    return sources
