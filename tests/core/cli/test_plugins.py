"""``mmx plugins``."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import throwaway
from mmx.plugin import manager as plugins
from mmx.plugin.entries import PluginEntry

Mmx = Callable[..., Any]


@pytest.fixture
def faulty(mmx: Mmx, monkeypatch: pytest.MonkeyPatch) -> Mmx:
    """Run a command with a broken and an incompatible plugin."""

    def entries() -> Iterator[PluginEntry]:
        yield PluginEntry("throwaway", "throw-away", "1.0", throwaway.listed())
        yield PluginEntry("no_such_module", "bad-plugin", "0.3", (("loss", "hopfield"),))
        yield PluginEntry("old", "old-plugin", "0.1", (), "incompatible", "it speaks plugin interface 0")

    monkeypatch.setattr(plugins, "installed", entries)
    return mmx


def test_list(mmx: Mmx) -> None:
    done = mmx("plugins")
    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "throw-away 1.0",
        "  throwaway        dataset: folder, mixed",
        "                   engine: local, remote",
    ]


def test_what_is_wrong_is_shown_and_is_no_error(faulty: Mmx) -> None:
    done = faulty("plugins")
    assert done.code == 0
    assert (
        "\nbroken: bad-plugin 0.3 (no_such_module)\n  ModuleNotFoundError: No module named 'no_such_module'" in done.out
    )
    assert "\nincompatible: old-plugin 0.1 (old)\n  it speaks plugin interface 0\n" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_for_programs(faulty: Mmx) -> None:
    found = json.loads(faulty("plugins", "--json").out)["plugins"]
    assert [(entry["distribution"], entry["status"], len(entry["parts"])) for entry in found] == [
        ("throw-away", "loaded", 18),
        ("bad-plugin", "broken", 1),
        ("old-plugin", "incompatible", 0),
    ]


def test_a_run_that_needs_a_broken_plugin(faulty: Mmx, recipe: Path) -> None:
    assert faulty("recipe", "check", "r.toml").code == 0
    done = faulty("recipe", "check", "r.toml", "--set", "losses.main.name=hopfield")
    assert done.code == 3
    assert (
        "the loss 'hopfield' is of bad-plugin 0.3 (no_such_module), which cannot be used: ModuleNotFoundError"
    ) in done.err
    assert done.err.endswith("help: mmx plugins\n")


def test_a_clash_is_shown(mmx: Mmx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "from mmx.config import LossConfig\nfrom mmx.plugin.hookspecs import hookimpl\n"
        "@hookimpl\ndef mmx_register(register):\n"
        "    register('loss', 'contrast', config=LossConfig, part='clashing_plugin:LossConfig', summary='')\n"
    )
    (tmp_path / "clashing_plugin.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        PluginEntry("throwaway", "throw-away", "1.0", throwaway.listed()),
        PluginEntry("clashing_plugin", "other", "2.0", (("loss", "contrast"),)),
    ]
    monkeypatch.setattr(plugins, "installed", lambda: iter(entries))
    shown = " ".join(mmx("plugins").out.split())
    assert (
        "clash: two plugins register the loss 'contrast': other 2.0 (clashing_plugin) and throw-away 1.0 (throwaway)"
        in shown
    )


def test_show(mmx: Mmx) -> None:
    done = mmx("plugins", "show", "image_encoder", "vit")
    assert done.code == 0
    assert "width: whole number > 0; default 64\n    Features of each token.\n" in done.out
    assert "from throw-away 1.0 (throwaway)" in done.out
    assert (
        '[image_encoder]\nname = "vit"\n# train = "full"\n# weights = ...  # optional: table\n# width = 64\n'
        in done.out
    )


def test_show_for_programs(mmx: Mmx) -> None:
    found = json.loads(mmx("plugins", "show", "loss", "contrast", "--json").out)
    assert [option["key"] for option in found["options"]] == ["weight"]


@pytest.mark.parametrize(
    ("kind", "name", "code", "expected"),
    [
        ("los", "contrast", 2, "there is no kind of part 'los'; did you mean 'loss'?"),
        ("loss", "contrst", 2, "no loss 'contrst'; did you mean 'contrast'?"),
        ("loss", "vit", 2, "there is one of another kind:\n  mmx plugins show image_encoder vit\n"),
    ],
)
def test_show_of_what_does_not_exist(mmx: Mmx, kind: str, name: str, code: int, expected: str) -> None:
    done = mmx("plugins", "show", kind, name)
    assert done.code == code and expected in done.err


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("vit", 0, "image_encoder vit\n"),
        ("loss.contrast", 0, "loss contrast\n"),
        ("loss", 2, "which loss?\n  mmx plugins show loss contrast\n"),
        ("vti", 2, "there is no part 'vti'"),
    ],
)
def test_show_by_name_alone(mmx: Mmx, name: str, code: int, expected: str) -> None:
    done = mmx("plugins", "show", name)
    assert done.code == code and expected in done.out + done.err
