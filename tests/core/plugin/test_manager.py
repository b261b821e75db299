"""Plugins: found, loaded and called one by one; none can break mmx or another plugin."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

import throwaway
from distributions import MODULE, install
from mmx.errors import PluginDeprecationWarning, PluginError
from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.manager import Plugins
from mmx.plugin.registry import Registrar
from mmx.recipe import load

RUN: Any = SimpleNamespace(name="run")
STEP: Any = SimpleNamespace(step=1)
OUTCOME: Any = SimpleNamespace(status="finished")


pytestmark = pytest.mark.usefixtures("forgotten")


def reason(plugins: Plugins, name: str) -> str:
    plugins.load_all()
    (entry,) = [entry for entry in plugins.entries if entry.module == name]
    assert not entry.usable
    return entry.reason


class Watcher:
    """Notes the hooks that were called."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    def mmx_run_start(self, run: Any) -> None:
        self.seen.append(f"start {run.name}")

    @hookimpl
    def mmx_step_end(self, step: Any) -> None:
        self.seen.append(f"step {step.step}")

    @hookimpl
    def mmx_evaluation_end(self, run: Any, results: Any) -> None:
        self.seen.append(f"evaluation {results}")

    @hookimpl
    def mmx_run_end(self, outcome: Any, run: Any) -> None:
        self.seen.append(f"end {run.name} {outcome.status}")


class Failing:
    @hookimpl
    def mmx_run_start(self) -> None:
        raise RuntimeError("no network")

    @hookimpl
    def mmx_step_end(self) -> None:
        sys.exit(3)

    @hookimpl
    def mmx_run_end(self) -> None:
        raise KeyboardInterrupt


RAISES = [
    f"{__file__}:{hook.__code__.co_firstlineno + 2}"  # below the decorator and the def
    for hook in (Failing.mmx_run_start, Failing.mmx_step_end)
]


def test_installed_plugins_are_found(site: Path) -> None:
    install(site, "toy-losses", version="2.1")
    plugins = Plugins()
    assert plugins.registries["loss"]["toy"].owner == "toy-losses 2.1 (toy_losses)"
    assert "toy-losses 2.1 (toy_losses)" in [entry.owner for entry in plugins.loaded]


def test_plugins_given_by_hand() -> None:
    plugins = Plugins({"throwaway": throwaway}, discover=False)
    assert plugins.registries["image_encoder"]["vit"].owner == "throwaway"
    assert [entry.module for entry in plugins.entries] == ["throwaway"]


def test_nothing_is_kept_between_two_of_them() -> None:
    Plugins({"throwaway": throwaway}, discover=False)
    assert list(Plugins(discover=False).registries) == []


@pytest.mark.parametrize("level", ["0", "2", "1.5", "x"])
def test_another_interface_is_refused_without_an_import(site: Path, level: str) -> None:
    install(site, "toy", group=f"mmx.plugins.v{level}")
    plugins = Plugins()
    assert f"speaks plugin interface {level}, this mmx speaks 1" in reason(plugins, "toy")
    assert "toy" not in sys.modules
    assert "toy" not in plugins.registries["loss"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module' ({site}/toy.py:1)"),
        ("def f(:", "SyntaxError: "),
        ("import sys\nsys.exit()", "SystemExit: no message ({site}/toy.py:2)"),
        ("raise ValueError('one\\n\\ntwo')", "ValueError: one two ({site}/toy.py:1)"),
        ("x = 1", "it implements no hook; functions are marked with @mmx.hookimpl"),
        ("def mmx_register(register): ...", "mmx_register is not marked with @mmx.hookimpl"),
        (
            MODULE.replace("mmx_register", "mmx_regster"),
            "there is no hook 'mmx_regster'; did you mean 'mmx_register'? (hooks: mmx_register, mmx_run_start,",
        ),
        (
            MODULE.replace("(register)", "(registry)"),
            "mmx_register ({site}/toy.py:15) takes 'registry', which the hook does not have; did you mean 'register'? "
            "(arguments: register)",
        ),
        (MODULE.replace("(register)", "(register, again=1)"), "takes 'again', which the hook does not have (arg"),
        (MODULE.replace(":Part", ":Prat"), "as part=\"toy:Prat\", but toy has no 'Prat'; did you mean 'Part'?"),
        (MODULE.replace('"loss"', '"los"'), "toy 1.0 (toy) registers 'toy' as a los; kinds are"),
        (MODULE + "    1 / 0\n", "ZeroDivisionError: division by zero ({site}/toy.py:"),
        (MODULE.replace("@hookimpl", "@hookimpl(wrapper=True)") + "    yield\n", "mmx_register is a hook wrapper"),
    ],
)
def test_broken_plugins_break_nothing(site: Path, code: str, expected: str) -> None:
    install(site, "toy", code=code)
    install(site, "toy-other", part="other")
    plugins = Plugins()
    assert expected.replace("{site}", str(site)) in reason(plugins, "toy")
    assert "toy" not in plugins.registries["loss"]
    assert "other" in plugins.registries["loss"]
    with pytest.raises(PluginError, match=r"the loss 'toy' is of toy 1\.0 \(toy\), which cannot be used: "):
        plugins.registries["loss"]["toy"]


@pytest.mark.parametrize(
    ("entry_points", "expected"),
    [
        ("[mmx.plugins]\nloss.toy = toy\n", "are in the group 'mmx.plugins'; mmx reads 'mmx.plugins.v1': rename it"),
        ("[mmx_plugin.v1]\nloss.toy = toy\n", "are in the group 'mmx_plugin.v1'; mmx reads"),
        ("[mmx.plugins.v1]\nloss.toy = toi\n", 'mend the line "loss.toy" = "toi" of its pyproject.toml'),
        ("[mmx.plugins.v1]\nloss.toy = toy:mmx_register\n", 'not what is in it: write "loss.toy" = "toy"'),
    ],
)
def test_metadata_that_means_something_else(site: Path, entry_points: str, expected: str) -> None:
    install(site, "toy", entry_points=entry_points)
    plugins = Plugins()
    plugins.load_all()
    (entry,) = [entry for entry in plugins.unusable if entry.distribution == "toy"]
    assert expected in entry.reason


def test_a_file_is_preferred_to_a_package_and_that_is_said(site: Path, tmp_path: Path) -> None:
    install(site, "toy-package", part="twice")
    file = tmp_path / "toy_file.py"
    file.write_text(MODULE.replace("{part}", "twice").replace("{module}", "toy_file"))
    said: list[str] = []
    plugins = Plugins(files=[file], say=said.append)
    assert plugins.registries["loss"]["twice"].owner == str(file)
    assert said == [f"loss.twice: of {file}, in place of toy-package 1.0 (toy_package)"]
    plugins.load_all()
    assert plugins.registries["loss"]["twice"].owner == str(file) and plugins.unusable == []
    assert Plugins().registries["loss"]["twice"].owner == "toy-package 1.0 (toy_package)"


def test_what_a_broken_plugin_had_registered_is_dropped(site: Path) -> None:
    install(site, "toy", code=MODULE + "    raise RuntimeError('half way')\n", part="clash")
    plugins = Plugins()
    assert "half way" in reason(plugins, "toy")
    assert list(plugins.registries) == [part for part in plugins.registries if part.owner != "toy 1.0 (toy)"]
    assert plugins.registries.registered("toy 1.0 (toy)") == []


def test_a_broken_plugin_is_not_called(site: Path) -> None:
    install(site, "toy", code=MODULE + "    1 / 0\n\n@hookimpl\ndef mmx_run_start():\n    raise RuntimeError\n")
    plugins = Plugins(say=lambda text: None)
    plugins.load_all()
    plugins.run_start(RUN)
    assert plugins.faults == []


@pytest.mark.parametrize("order", [("toy-a", "toy-b"), ("toy-b", "toy-a")])
def test_two_plugins_with_one_part_are_both_named_and_neither_is_imported(site: Path, order: tuple[str, ...]) -> None:
    for name in order:
        install(site, name)
    with pytest.raises(PluginError, match=r"toy-a 1\.0 \(toy_a\) and toy-b 1\.0 \(toy_b\); uninstall or leave out"):
        Plugins().registries["loss"]["toy"]
    assert not {"toy_a", "toy_b"} & set(sys.modules)


def test_a_plugin_is_imported_when_a_part_of_it_is_asked_for(site: Path) -> None:
    install(site, "toy-used", part="used")
    install(site, "toy-unused", part="unused")
    plugins = Plugins()
    assert {"used", "unused"} <= set(plugins.registries["loss"].names())
    with pytest.raises(PluginError, match="no loss 'usd'; did you mean 'used'"):
        plugins.registries["loss"]["usd"]
    assert not {"toy_used", "toy_unused"} & set(sys.modules)
    assert plugins.registries["loss"]["used"].owner == "toy-used 1.0 (toy_used)"
    assert "toy_used" in sys.modules and "toy_unused" not in sys.modules
    assert [entry.module for entry in plugins.loaded] == ["toy_used"]


def test_one_that_is_refused_by_its_metadata_takes_no_name(site: Path) -> None:
    install(site, "toy-old", group="mmx.plugins.v0")
    install(site, "toy-new")
    assert Plugins().registries["loss"]["toy"].owner == "toy-new 1.0 (toy_new)"


def test_the_interface_that_is_spoken_is_used_where_several_are(site: Path) -> None:
    install(site, "toy", entry_points="[mmx.plugins.v2]\nloss.toy = later\n[mmx.plugins.v1]\nloss.toy = toy\n")
    assert Plugins().registries["loss"]["toy"].owner == "toy 1.0 (toy)"


HOOKS_ONLY = "from mmx.plugin.hookspecs import hookimpl\n\n@hookimpl\ndef mmx_run_start():\n    print('seen')\n"


def test_a_module_of_hooks_is_used_where_it_is_named(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "toy-watch", code=HOOKS_ONLY, entry_points="[mmx.plugins.v1]\nwatch = toy_watch\n")
    plugins = Plugins()
    plugins.run_start(RUN)
    assert "toy_watch" not in sys.modules
    assert plugins.enable("toy_watch") == ""
    plugins.run_start(RUN)
    assert capsys.readouterr().out == "seen\n"
    assert "no plugin 'toy_wtch' is installed; did you mean 'toy_watch'?" in plugins.enable("toy_wtch")


def test_a_recipe_names_it(site: Path) -> None:
    install(site, "toy-watch", code=HOOKS_ONLY, entry_points="[mmx.plugins.v1]\nwatch = toy_watch\n")
    plugins = Plugins()
    load("quickstart", ['plugins=["toy_watch"]'], (), plugins.registries)
    assert "toy_watch" in [entry.module for entry in plugins.loaded]
    with pytest.raises(PluginError, match=r"plugins\[0\]: no plugin 'toy_wach' is installed; did you mean"):
        load("quickstart", ['plugins=["toy_wach"]'], (), plugins.registries)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            "watch = toy\n",
            'registers the loss \'toy\', which its metadata does not list; add the line "loss.toy" = "toy"',
        ),
        ("loss.toy = toy\nloss.two = toy\n", "lists the loss 'two', which its mmx_register does not register"),
        ("los.toy = toy\n", "lists los.toy, but there is no such kind of part; kinds are image_encoder"),
    ],
)
def test_metadata_says_what_is_registered(site: Path, lines: str, expected: str) -> None:
    install(site, "toy", entry_points=f"[mmx.plugins.v1]\n{lines}")
    assert expected in reason(Plugins(), "toy")


DEPRECATED = """
import warnings
from mmx.errors import PluginDeprecationWarning
warnings.warn("old_name goes in mmx 0.3; use new_name", PluginDeprecationWarning)
"""


def test_what_will_go_is_said_once_and_kept(site: Path) -> None:
    install(site, "toy", code=DEPRECATED + MODULE)
    said: list[str] = []
    plugins = Plugins(say=said.append)
    assert "toy" in plugins.registries["loss"] and "toy" in plugins.registries["loss"]
    assert said == ["toy 1.0 (toy): old_name goes in mmx 0.3; use new_name"]
    assert [e.deprecated for e in plugins.loaded] == [("old_name goes in mmx 0.3; use new_name",)]


def test_a_hook_that_will_go_is_said(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way the interface is changed: pluggy's own mark on a hook, seen by its implementers for two minor versions."""
    going = SimpleNamespace()

    @pluggy.HookspecMarker("mmx")(warn_on_impl=PluginDeprecationWarning("mmx_register goes in mmx 0.3"))
    def mmx_register(register: Registrar) -> None: ...

    going.mmx_register = mmx_register
    monkeypatch.setattr("mmx.plugin.manager.hookspecs", going)
    install(site, "toy")
    said: list[str] = []
    assert "toy" in Plugins(say=said.append).registries["loss"]
    assert said == ["toy 1.0 (toy): mmx_register goes in mmx 0.3"]


def test_every_call_is_traced_where_that_is_asked_for(site: Path) -> None:
    install(site, "toy")
    seen: list[str] = []
    plugins = Plugins(say=lambda text: None, trace=seen.append)
    assert "toy" in plugins.registries["loss"]
    plugins.add(Watcher(), "watcher")
    plugins.add(Failing(), "failing")
    plugins.step_end(RUN, STEP)
    shown = [re.sub(r"  [\d.]+ ms", "", line) for line in seen]
    assert shown == [
        "trace: import()  toy 1.0 (toy)",
        "trace: mmx_register(register)  toy 1.0 (toy)",
        "trace: mmx_step_end(run=run, step=1)  failing  SystemExit: 3",
        "trace: mmx_step_end(run=run, step=1)  watcher",
    ]


def test_one_module_of_two_distributions_is_used_once(site: Path) -> None:
    install(site, "toy")
    install(site, "toy-copy", entry_points="[mmx.plugins.v1]\nloss.copy = toy\n")
    plugins = Plugins()
    plugins.load_all()
    (copy,) = [entry for entry in plugins.entries if entry.distribution == "toy-copy"]
    assert "already registered" in copy.reason
    assert plugins.registries["loss"]["toy"].owner == "toy 1.0 (toy)"


@pytest.mark.parametrize(
    "text", ["[mmx.plugins.v1]\nno equals sign\n", "[mmx.plugins.v1]\na =\n", "[mmx.plugins.v1]\na = 1 2 3:\n"]
)
def test_entry_points_that_cannot_be_read(site: Path, text: str) -> None:
    install(site, "toy", entry_points=text)
    install(site, "toy-other", part="other")
    plugins = Plugins()
    plugins.load_all()
    assert [entry.status for entry in plugins.entries if entry.distribution == "toy"] == ["broken"]
    assert "other" in plugins.registries["loss"]


def test_a_distribution_without_metadata(site: Path) -> None:
    install(site, "toy")
    (site / "toy-1.0.dist-info" / "METADATA").unlink()
    assert "toy" in Plugins().registries["loss"]


def test_what_a_plugin_prints_does_not_reach_stdout(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "toy", code=f"print('hello')\n{MODULE}    print('hello')\n")
    Plugins().load_all()
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("hello") == 2


def test_observers_are_told(site: Path) -> None:
    plugins, watcher = Plugins(discover=False), Watcher()
    plugins.add(watcher, "watcher")
    plugins.run_start(RUN)
    plugins.step_end(RUN, STEP)
    plugins.evaluation_end(RUN, 3, {})
    plugins.run_end(RUN, OUTCOME)
    assert watcher.seen == ["start run", "step 1", "evaluation {}", "end run finished"]


def test_a_removed_observer_is_not_told() -> None:
    plugins, watcher = Plugins(discover=False), Watcher()
    plugins.add(watcher, "watcher")
    plugins.remove("watcher")
    plugins.run_start(RUN)
    assert watcher.seen == []


def test_an_observer_that_fails_is_named_once_and_stops_nobody() -> None:
    said: list[str] = []
    plugins = Plugins(discover=False, say=said.append)
    before, after = Watcher(), Watcher()
    for name, watcher in (("before", before), ("failing", Failing()), ("after", after)):
        plugins.add(watcher, name)
    for _ in range(3):
        plugins.run_start(RUN)
        plugins.step_end(RUN, STEP)
    assert said == [
        f"failing: mmx_run_start failed and is ignored: RuntimeError: no network ({RAISES[0]})",
        f"failing: mmx_step_end failed and is ignored: SystemExit: 3 ({RAISES[1]})",
    ]
    assert [(fault.plugin, fault.hook, fault.count) for fault in plugins.faults] == [
        ("failing", "mmx_run_start", 3),
        ("failing", "mmx_step_end", 3),
    ]
    plugins.remove("failing")
    plugins.run_end(RUN, OUTCOME)
    assert said[2] == (f"failing: mmx_run_start failed 3 times, the first time: RuntimeError: no network ({RAISES[0]})")
    assert before.seen == after.seen == [*["start run", "step 1"] * 3, "end run finished"]


def test_an_interrupt_is_not_swallowed() -> None:
    plugins = Plugins(discover=False)
    plugins.add(Failing(), "failing")
    with pytest.raises(KeyboardInterrupt):
        plugins.run_end(RUN, OUTCOME)


def test_faults_go_to_stderr_unless_somebody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    plugins = Plugins(discover=False)
    plugins.add(Failing(), "failing")
    plugins.run_start(RUN)
    said = capsys.readouterr().err
    assert said.startswith("failing: mmx_run_start failed and is ignored: RuntimeError: no network (")


class Misspelt:
    @hookimpl
    def mmx_step_ended(self) -> None: ...


class Demanding:
    @hookimpl
    def mmx_step_end(self, loss: float) -> None: ...


class Forward:
    @hookimpl(optionalhook=True)
    def mmx_of_a_later_version(self) -> None: ...

    @hookimpl
    def mmx_run_start(self) -> None: ...


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Misspelt, r"^mine: there is no hook 'mmx_step_ended'; did you mean 'mmx_step_end'\?"),
        (Demanding, r"^mine: mmx_step_end \(.*test_manager.py:\d+\) takes 'loss', which the hook does not have"),
        (object, "^mine: it implements no hook"),
    ],
)
def test_observers_that_are_refused(make: Callable[[], object], expected: str) -> None:
    plugins = Plugins(discover=False)
    with pytest.raises(PluginError, match=expected):
        plugins.add(make(), "mine")
    plugins.add(Watcher(), "mine")


def test_a_name_is_given_once() -> None:
    plugins = Plugins(discover=False)
    plugins.add(Watcher(), "mine")
    with pytest.raises(PluginError, match=r"^mine: .*already registered"):
        plugins.add(Watcher(), "mine")


def test_hooks_of_later_versions_may_be_optional() -> None:
    Plugins(discover=False).add(Forward(), "mine")


def test_hooks_that_are_not_about_registering_need_no_parts() -> None:
    plugins = Plugins({"watcher": Watcher()}, discover=False)
    assert [entry.status for entry in plugins.entries] == ["loaded"]


def test_the_register_argument_is_the_plugins_own() -> None:
    seen: list[Registrar] = []

    class Both:
        @hookimpl
        def mmx_register(self, register: Registrar) -> None:
            seen.append(register)

    Plugins({"one": Both(), "two": Both()}, discover=False)
    assert [register.owner for register in seen] == ["one", "two"]
