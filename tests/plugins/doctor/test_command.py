"""``mmx doctor``."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import throwaway
from mmx.plugin import manager as plugins
from mmx.plugin.entries import PluginEntry
from mmx_doctor import examine, installed
from mmx_doctor.finding import Finding

Mmx = Callable[..., Any]
PATH = "/a/path/" + "that/goes/on/" * 12


@pytest.fixture
def well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing depends on where the tests run."""
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def faulty(mmx: Mmx, monkeypatch: pytest.MonkeyPatch) -> Mmx:
    """Run a command with a plugin that cannot be imported."""

    def entries() -> Iterator[PluginEntry]:
        yield PluginEntry("throwaway", "throw-away", "1.0", throwaway.listed())
        yield PluginEntry("no_such_module", "bad-plugin", "0.3", (("loss", "hopfield"),))

    monkeypatch.setattr(plugins, "installed", entries)
    return mmx


def finds(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> None:
    monkeypatch.setattr(examine, "examine", lambda: list(found))


def test_a_machine_that_is_well(mmx: Mmx, well: None) -> None:
    done = mmx("doctor")
    assert done.code == 0 and done.err == ""
    assert done.out.splitlines()[0] == "mmx" and done.out.splitlines()[-1] == "all good"
    assert "\nengines\n  local            the engine local\n  remote           the engine remote\n\n" in done.out
    assert "\n  installed        1 of 1 can be used\n" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_broken_plugin_is_a_problem(faulty: Mmx, well: None) -> None:
    done = faulty("doctor")
    assert done.code == 1
    shown = done.out.partition("\nplugins\n")[2]
    start = (
        "  installed        1 of 2 can be used\n  bad-plugin 0.3 (no_such_module)\n                   problem: Module"
    )
    assert shown.startswith(start)
    assert "problem: ModuleNotFoundError: No module named 'no_such_module';" in " ".join(shown.split())
    assert shown.endswith("  install a version that works, or: pip uninstall bad-plugin\n\n1 problem\n")
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_torch_that_cannot_be_imported(mmx: Mmx, well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = mmx("doctor")
    assert done.code == 1 and "Traceback" not in done.out + done.err
    assert "\n  torch            problem: cannot be imported: ModuleNotFoundError:" in done.out


def test_a_missing_package_is_shown_with_the_line_that_installs_it(
    mmx: Mmx, well: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "version", lambda package: "not installed")
    done = mmx("doctor")
    assert done.code == 0
    assert "  wandb            note: not installed\n                     pip install 'mmx[wandb]'\n" in done.out
    assert (
        "  s3fs             note: not installed\n                     for s3:// URLs: pip install 'mmx[s3]'\n"
        in done.out
    )


def test_rows(mmx: Mmx, monkeypatch: pytest.MonkeyPatch) -> None:
    finds(
        monkeypatch,
        Finding("one", "a", "first\nsecond"),
        Finding("one", "a", "third", "note"),
        Finding("two", "b", PATH, "problem", "do this\x1b[2J"),
        Finding("two", "c", "gone", "problem"),
    )
    done = mmx("doctor")
    start = "                   "
    assert done.out.startswith(
        f"one\n  a                first\n{start}second\n{start}note: third\n\ntwo\n  b                problem:"
    )
    assert f"\n{start}  do this\\x1b[2J\n  c                problem: gone\n\n2 problems\n" in done.out
    assert PATH in "".join(done.out.split())
    assert done.code == 1 and max(map(len, done.out.splitlines())) <= 80


def test_for_programs(faulty: Mmx, well: None) -> None:
    done = faulty("doctor", "--json")
    document = json.loads(done.out)
    assert done.code == 1
    assert (document["ok"], document["problems"]) == (False, 1)
    assert {frozenset(finding) for finding in document["findings"]} == {
        frozenset({"section", "name", "value", "state", "advice"})
    }
    (problem,) = [finding for finding in document["findings"] if finding["state"] == "problem"]
    assert (problem["section"], problem["name"]) == ("plugins", "bad-plugin 0.3 (no_such_module)")
    assert "pip uninstall bad-plugin" in problem["advice"]


def test_for_programs_where_all_is_well(mmx: Mmx, monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, Finding("one", "a", "first", "note", "do this"))
    done = mmx("doctor", "--json")
    row = {"section": "one", "name": "a", "value": "first", "state": "note", "advice": "do this"}
    assert done.code == 0
    assert json.loads(done.out) == {"ok": True, "problems": 0, "findings": [row]}
