"""A part that no metadata lists is found, in every form in which a package can be installed."""

import json
import sys
from pathlib import Path

import pytest

from mmx.config import TrackerConfig
from mmx.plugin.registry import Registries
from mmx_kit.case import Case
from mmx_kit.check import BrokenError, NotApplicableError
from mmx_kit.listed import absent, listed

GROUP = "mmx.plugins.v1"


def case(module: str, owner: str = "", file: bool = False) -> Case:
    registries = Registries()
    register = registries.owned_by(owner or module)
    register("tracker", "quiet", config=TrackerConfig, part=f"{module}:Quiet", summary="watches in silence")
    entry = registries["tracker"]["quiet"]
    return Case(entry, TrackerConfig(name="quiet"), Path(), registries, (Path(f"{module}.py"),) if file else ())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of installed packages, with a source folder beside it; both are on the path."""
    for name in ("site", "project/src"):
        (tmp_path / name).mkdir(parents=True)
        monkeypatch.syspath_prepend(str(tmp_path / name))
    return tmp_path / "site"


def install(site: Path, module: str, monkeypatch: pytest.MonkeyPatch, *, how: str, group: str = "") -> None:
    """Write what an installer leaves, with one part listed in a group."""
    source = site if how == "files" else site.parent / "project" / "src"
    (source / module).mkdir()
    (source / module / "__init__.py").touch()
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    record = {"files": f"{module}/__init__.py,,\n", "pth": f"_{module}.pth,,\n", "finder": f"{info.name}/METADATA,,\n"}
    (info / "RECORD").write_text(record[how])
    if how == "pth":
        (site / f"_{module}.pth").write_text(f"# a comment\n{source}\n")
    if how == "finder":
        (info / "top_level.txt").write_text(f"{module}\n")
        url = (site.parent / "project").as_uri()
        (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}))
    if group:
        (info / "entry_points.txt").write_text(f"[{group}]\ntracker.quiet = {module}\n")
    __import__(module)
    monkeypatch.delitem(sys.modules, module)  # so that it is gone after the test
    monkeypatch.setitem(sys.modules, module, __import__(module))


@pytest.mark.parametrize("how", ["files", "pth", "finder"])
def test_the_line_that_is_missing_is_told(how: str, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, f"mmx_no_{how}", monkeypatch, how=how)
    with pytest.raises(BrokenError) as caught:
        listed(case(f"mmx_no_{how}"))
    assert str(caught.value).startswith(f"mmx-no-{how} 1.0 is installed, but its metadata does not list this part")
    assert f'\n"tracker.quiet" = "mmx_no_{how}"\nto [project.entry-points."{GROUP}"]' in str(caught.value)


def test_what_is_listed_holds(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "mmx_right", monkeypatch, how="pth", group=GROUP)
    listed(case("mmx_right", owner="mmx-right 1.0 (mmx_right)"))


def test_files_and_modules_that_nobody_installed_have_no_metadata(site: Path) -> None:
    with pytest.raises(NotApplicableError, match="a single file is in no metadata"):
        listed(case("alone", file=True))
    with pytest.raises(NotApplicableError, match="the module broken belongs to no installed distribution"):
        listed(case("broken"))


def test_a_name_that_cannot_be_imported_is_told_truly(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no distribution or module of that name is installed (gone)" in absent("no-such-plugin", "gone")
    install(site, "mmx_there", monkeypatch, how="files", group="console_scripts")
    assert absent("mmx-there", "gone").startswith("mmx-there 1.0 is installed, but its metadata lists no plugin; give")
