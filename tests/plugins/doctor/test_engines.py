"""Engines, and plugins that cannot be imported."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from typing_extensions import override

from machines import found, gpus, one, without_gpu
from mmx.config import EngineConfig
from mmx.plugin import entries
from mmx.plugin import manager as plugins
from mmx.plugin.entries import PluginEntry
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_doctor.examine import examine
from mmx_doctor.finding import GIB


class Absent(EngineConfig):
    @override
    def missing(self) -> str:
        return "the package far is not installed: pip install far"

    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        yield from [str(1 / 0)]


class Present(EngineConfig):
    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        print("not in the document")
        yield from ("trains on two cards", "they are joined by a cable")


class Silent(EngineConfig):
    hosts: int
    """It has no default."""


class Broken(EngineConfig):
    @override
    @classmethod
    def doctor(cls) -> Iterator[str]:
        raise SystemExit("no driver")


class Unbuilt:
    """What the engines are here: nobody builds one."""


@hookimpl
def mmx_register(register: Registrar) -> None:
    for name, config in (("absent", Absent), ("present", Present), ("silent", Silent), ("broken", Broken)):
        register("engine", name, config=config, part=f"{__name__}:Unbuilt", summary="an engine of the tests")


def test_engines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("absent", "broken", "present", "silent")
    listed = PluginEntry(__name__, "engines", "1.0", tuple(("engine", name) for name in names))
    monkeypatch.setattr(plugins, "installed", lambda: iter([listed]))
    rows = [(finding.name, finding.value, finding.state) for finding in examine() if finding.section == "engines"]
    assert rows[0] == ("absent", "the package far is not installed: pip install far", "note")
    assert rows[1][0] == "broken" and rows[1][2] == "problem"
    assert rows[1][1].startswith("cannot be used: SystemExit: no driver")
    assert rows[2:] == [
        ("present", "trains on two cards", "ok"),
        ("present", "they are joined by a cable", "ok"),
        ("silent", "an engine of the tests", "ok"),
    ]
    printed = capsys.readouterr()
    assert "not in the document" in printed.err and printed.out == ""


def test_the_engine_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    local = [entry for entry in entries.installed() if ("engine", "local") in entry.parts]
    monkeypatch.setattr(plugins, "installed", lambda: iter(local))
    without_gpu(monkeypatch, None, lambda: False)
    assert one("engines", "local").value == "trains on 1 CPU threads, fp32"
    gpus(monkeypatch, lambda index: SimpleNamespace(name="Card", total_memory=80 * GIB, major=9))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    values = [finding.value for finding in found("engines", "local")]
    assert values == ["trains on Card, bf16", "uses 1 of the 2 GPUs: it is one process"]


def test_an_engine_of_a_plugin_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = PluginEntry("no_such_module", "far", "0.3", (("engine", "far"),))
    monkeypatch.setattr(plugins, "installed", lambda: iter([gone]))
    engine, plugin = one("engines", "far"), one("plugins", "far 0.3 (no_such_module)")
    assert engine.state == plugin.state == "problem"
    assert "which cannot be used: ModuleNotFoundError" in engine.value
    assert plugin.value.startswith("ModuleNotFoundError") and "pip uninstall far" in plugin.advice
    assert one("plugins", "installed").value == "0 of 1 can be used"
