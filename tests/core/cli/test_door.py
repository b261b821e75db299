"""Commands of plugins: listed without an import, called, completed, and ended as mmx's own are."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from distributions import install
from mmx.cli.main import app
from mmx.plugin.commands import OWN, refusal, summary
from mmx.plugin.manager import Plugins
from mmx_kit.catalogue import CHECKS
from mmx_kit.check import BrokenError
from mmx_kit.commands import COMMAND_CHECKS
from mmx_kit.imports import probed
from mmx_kit.subject import Plugin

CODE = '''
"""A command."""

from typing import Annotated

import typer

from mmx.errors import DataError

print("toy_hello is imported")


def hello(
    name: Annotated[str, typer.Argument(help="Who is greeted.")] = "you",
    loud: Annotated[bool, typer.Option("--loud", help="With a mark.")] = False,
    code: Annotated[int, typer.Option(help="The exit code.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Say hello to somebody.

    Then say no more.

    Examples:
        mmx hello
        mmx hello Ada --loud
    """
    if name == "nobody":
        raise DataError("nobody is there")
    if name == "zero":
        raise ZeroDivisionError("of a plugin")
    if name == "usage":
        raise typer.BadParameter("not a name")
    if name == "leave":
        raise typer.Exit(7)
    print('{"hello": "%s"}' % name if json else f"hello {name}{'!' if loud else ''}")
    return code
'''
GROUP = '''
import typer

garden = typer.Typer(help="Look after a garden. It has beds.", no_args_is_help=True)


@garden.callback()
def start() -> None:
    """Nothing that is said."""


@garden.command()
def water(litres: int = 1) -> None:
    """Water all beds."""
    print(f"{litres} l")
'''


def points(*lines: str) -> str:
    return "\n".join(["[mmx.plugins.v1]", *lines, ""])


@pytest.fixture
def hello(site: Path) -> Path:
    install(site, "toy-hello", code=CODE, entry_points=points("command.hello = toy_hello:hello"))
    return site


def call(*words: str) -> Any:
    return CliRunner().invoke(app, words)


def completed(site: Path, words: str) -> set[str]:
    """Return what the shell would offer, from a process of its own."""
    place = words.count(" ")
    env = {"_MMX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(place), "PATH": ""}
    command = [sys.executable, "-m", "mmx"]
    done = subprocess.run(command, env={**env, "PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=120)
    assert done.stderr == "" or words.count(" ") > 1, done.stderr
    return set(done.stdout.split())


def test_help_lists_it_without_an_import(hello: Path) -> None:
    done = call("--help")
    assert "  hello    Say hello to somebody.\n" in done.stdout and "toy_hello" not in sys.modules
    script = "import sys; sys.argv = ['mmx', '--help']\nfrom mmx.cli.main import main\ntry: main()\nfinally: print(*sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(hello)}
    ended = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120)
    assert "Say hello to somebody." in ended.stdout
    loaded = ended.stdout.splitlines()[-1].split()
    assert not {"toy_hello", "torch", "pydantic", "pluggy", "mmx.plugin.manager", "rich", "mmx_data.command"} & set(
        loaded
    )


def test_its_own_help_is_like_that_of_others(hello: Path) -> None:
    done = call("hello", "--help")
    assert done.exit_code == 0 and done.stdout.startswith("Usage: mmx hello [OPTIONS]")
    assert "  Say hello to somebody.\n\n  Then say no more.\n" in done.stdout
    assert "  Examples:\n    mmx hello\n    mmx hello Ada --loud\n" in done.stdout
    assert "Who is greeted." in done.stdout and "--install-completion" not in done.stdout


def test_it_is_called(hello: Path) -> None:
    done = call("hello", "Ada", "--loud")
    assert (done.exit_code, done.stdout) == (0, "hello Ada!\n")
    assert "toy_hello is imported" in done.stderr  # what an import prints would be in the middle of a document
    done = call("hello", "Ada", "--json", "--code", "75")
    assert (done.exit_code, json.loads(done.stdout)) == (75, {"hello": "Ada"})


@pytest.mark.parametrize(
    ("word", "code", "kind", "message"),
    [
        ("nobody", 4, "DataError", "nobody is there"),
        ("zero", 1, "ZeroDivisionError", "ZeroDivisionError: of a plugin\n  at "),
    ],
)
def test_it_ends_as_others_do(hello: Path, word: str, code: int, kind: str, message: str) -> None:
    done = call("hello", word)
    assert done.exit_code == code and f"error: {message}" in done.stderr and "Traceback" not in done.stderr
    done = call("hello", word, "--json")
    told = json.loads(done.stdout)["error"]
    assert (done.exit_code, told["type"], told["exit"]) == (code, kind, code) and message in told["message"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("hello", "usage"), 2, "Error: Invalid value: not a name"),
        (("hello", "leave"), 7, ""),
        (("hello", "--lod"), 2, "No such option: --lod"),
        (("helo",), 2, "No such command 'helo'. Did you mean 'hello'?"),
    ],
)
def test_wrong_usage_is_typers_own(hello: Path, words: tuple[str, ...], code: int, message: str) -> None:
    done = call(*words)
    assert done.exit_code == code and message in done.stderr and "Traceback" not in done.stderr


def test_the_shell_completes_it_and_its_options(hello: Path) -> None:
    install(hello, "toy-garden", code=GROUP, entry_points=points("command.garden = toy_garden:garden"))
    assert {"run", "hello", "garden", "data"} <= completed(hello, "mmx ")
    assert {"--loud", "--code", "--json"} <= completed(hello, "mmx hello --")
    assert "water" in completed(hello, "mmx garden ")


def test_a_typer_has_commands_below_it_and_other_packages_add_to_it(site: Path) -> None:
    install(site, "toy-garden", code=GROUP, entry_points=points("command.garden = toy_garden:garden"))
    more = points("command.garden.hello = toy_hello:hello", "command.plugins.hello = toy_hello:hello")
    install(site, "toy-hello", code=CODE, entry_points=more)
    assert "Look after a garden." in call("--help").stdout and "toy_garden" not in sys.modules
    shown = call("garden", "--help").stdout
    assert "water  Water all beds." in shown and "hello  Say hello to somebody." in shown
    assert call("garden", "water", "--litres", "3").stdout == "3 l\n"
    assert call("garden", "hello", "Ada").stdout == call("plugins", "hello", "Ada").stdout == "hello Ada\n"
    assert call("garden", "hello", "nobody").exit_code == 4
    assert call("plugins", "check", "--help").exit_code == 0


@pytest.mark.parametrize(
    ("code", "point", "message"),
    [
        ("import no_such_module", "toy_bad:bad", "cannot import toy_bad:bad: ModuleNotFoundError: No module named"),
        ("x = 1", "toy_bad:bad", "AttributeError: module 'toy_bad' has no attribute 'bad'"),
        ("bad = 1", "toy_bad:bad", "toy_bad:bad is no function and no typer.Typer"),
        ("def bad(x: list[list[int]]): ...", "toy_bad:bad", "cannot be read by typer: "),
        (
            "def bad(): ...",
            "toy_bad",
            'a command is named as \'module:function\', such as "command.bad" = "toy_bad:main"',
        ),
    ],
)
def test_one_that_cannot_be_used_breaks_nothing_else(site: Path, code: str, point: str, message: str) -> None:
    install(site, "toy-bad", code=code, entry_points=points(f"command.bad = {point}"))
    assert call("--help").exit_code == 0 and call("recipe", "list").exit_code == 0
    done = call("bad", "--json")
    assert done.exit_code == 3 and message in done.stderr and "Traceback" not in done.stderr
    assert json.loads(done.stdout)["error"]["type"] == "PluginError"


def test_a_name_of_two_packages_belongs_to_neither(hello: Path) -> None:
    install(hello, "toy-other", code=CODE, entry_points=points("command.hello = toy_other:hello"))
    assert "hello    (it cannot be used: mmx plugins)" in call("--help").stdout
    done = call("hello")
    assert done.exit_code == 3 and "two plugins have the command 'hello': toy-hello 1.0" in done.stderr
    assert "clash: two plugins register the command 'hello'" in call("plugins").stdout.replace("\n", " ")


def test_one_of_another_level_is_told_and_takes_no_name(site: Path) -> None:
    later = points("command.hello = toy_later:hello").replace("v1", "v2")
    install(site, "toy-later", code=CODE, entry_points=later)
    done = call("hello")
    assert done.exit_code == 3 and "speaks plugin interface 2" in done.stderr
    install(site, "toy-hello", code=CODE, entry_points=points("command.hello = toy_hello:hello"))
    assert call("hello").stdout == "hello you\n"


@pytest.mark.parametrize("name", ["run", "plugins.show", "eval.more", "a.b.c", "a b"])
def test_names_that_no_command_can_have(site: Path, name: str) -> None:
    assert refusal(name)
    if " " not in name:
        install(site, "toy-hello", code=CODE, entry_points=points(f"command.{name} = toy_hello:hello"))
        plugins = Plugins()
        plugins.load_all()
        assert [entry.reason for entry in plugins.unusable] == [refusal(name)]
        assert call("--help").exit_code == 0 and call("run", "--help").stdout.startswith("Usage: mmx run")


def test_one_below_a_command_that_is_not_there_is_told(site: Path) -> None:
    install(site, "toy-hello", code=CODE, entry_points=points("command.mesh.hello = toy_hello:hello"))
    plugins = Plugins()
    plugins.load_all()
    assert [entry.reason for entry in plugins.unusable] == [
        "there is no command 'mesh' that 'mmx mesh hello' could be below"
    ]


def test_names_of_the_core_are_those_it_has() -> None:
    group: Any = typer.main.get_command(app)
    below = [f"{name}.{one}" for name, found in group.commands.items() for one in getattr(found, "commands", ())]
    assert sorted([*group.commands, *below]) == sorted(OWN)


def test_mmx_plugins_lists_and_shows_it_without_an_import(hello: Path) -> None:
    listed = call("plugins")
    assert "toy_hello:hello  command: hello" in listed.stdout.replace("   ", " ")
    shown = call("plugins", "show", "command.hello").stdout
    assert shown.startswith("command hello\nSay hello to somebody\n") and f"part in {hello}/toy_hello.py:" in shown
    assert "toy_hello" not in sys.modules


def test_the_line_is_read_from_the_source(site: Path) -> None:
    (site / "toy_pack").mkdir()
    (site / "toy_pack" / "__init__.py").write_text("raise RuntimeError('imported')")
    (site / "toy_pack" / "cli.py").write_text(GROUP + "\n\ndef bare(): ...\n\n\nfrom toy_else import other\n")
    assert summary("toy_pack.cli:garden") == "Look after a garden. It has beds."
    assert summary("toy_pack.cli:water") == "Water all beds."
    for absent in ("toy_pack.cli:bare", "toy_pack.cli:other", "toy_pack.no:x", "toy_no.cli:x"):
        assert summary(absent) == ""


BROKEN: list[tuple[str, str, Callable[[str], str]]] = [
    ("line", '"command"', lambda text: text.replace('    """Say hello', '    said = """Say hello')),
    ("light command", "torch", lambda text: text.replace("import typer\n", "import torch\nimport typer\n", 1)),
    ("light command", "prints", lambda text: text),
    ("option help", "--loud", lambda text: text.replace(', help="With a mark."', "")),
]


@pytest.mark.parametrize(("name", "what", "change"), BROKEN, ids=[f"{name}: {what}" for name, what, _ in BROKEN])
def test_the_kit_catches_a_broken_command(site: Path, name: str, what: str, change: Callable[[str], str]) -> None:
    text = change(CODE if what == "prints" else CODE.replace('print("toy_hello is imported")\n', ""))
    install(site, "toy-hello", code=text, entry_points=points("command.hello = toy_hello:hello"))
    probed.cache_clear()
    subject = Plugin("toy-hello")
    (entry,) = subject.entries()
    caught: list[str] = []
    for check in (check for check in CHECKS if "command" in check.kinds):
        try:
            check.run(subject.case(entry, {}))
        except BrokenError:
            caught.append(check.name)
    assert caught == [name] and name in [check.name for check in COMMAND_CHECKS]
