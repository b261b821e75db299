"""Ways out of the command line: exit codes, messages, and no traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mmx import errors
from mmx.cli import run as run_module
from mmx.cli.guard import guarded
from mmx.runs.request import RunRequest, RunResult

Mmx = Callable[..., Any]


def ends(raised: BaseException | int | None) -> Any:
    """Run a command that raises or returns something."""

    @guarded
    def command() -> int | None:
        if isinstance(raised, BaseException):
            raise raised
        return raised

    small = typer.Typer(rich_markup_mode=None)
    small.command()(command)
    return CliRunner().invoke(small, [])


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (None, 0, ""),
        (75, 75, ""),
        (errors.MmxError("a"), 1, "error: a\n"),
        (errors.RecipeError("a\nb"), 2, "error: a\nb\n"),
        (errors.PluginError("a"), 3, "error: a\n"),
        (errors.DataError("a"), 4, "error: a\n"),
        (errors.CheckpointError("a"), 5, "error: a\n"),
        (errors.TrainingError("a"), 6, "error: a\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (errors.DataError("\x1b[31mred\x07"), 4, "error: \\x1b[31mred\\x07\n"),
    ],
)
def test_exit_codes(raised: BaseException | int | None, code: int, message: str) -> None:
    done = ends(raised)
    assert (done.exit_code, done.stderr, done.stdout) == (code, message, "")


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (errors.DataError('no "such" file\nmend it'), "DataError", 4),
        (KeyboardInterrupt(), "Interrupted", 130),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError", 1),
    ],
)
def test_with_json_an_error_is_a_document_too(raised: BaseException, kind: str, code: int) -> None:
    @guarded
    def command(json: bool = False) -> None:
        raise raised

    small = typer.Typer(rich_markup_mode=None)
    small.command()(command)
    done = CliRunner().invoke(small, ["--json"])
    found = json.loads(done.stdout)["error"]
    assert (done.exit_code, found["type"], found["exit"]) == (code, kind, code)
    assert done.stderr == f"error: {found['message']}\n"


def test_a_bug_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMX_DEBUG", raising=False)
    done = ends(ZeroDivisionError("division by zero"))
    first, place, hint = done.stderr.splitlines()
    assert done.exit_code == 1
    assert first == "error: ZeroDivisionError: division by zero"
    assert place.startswith(f"  at {__file__}:")
    assert hint == "this is a bug in mmx or a plugin; run again with MMX_DEBUG=1 for the traceback"


def test_the_traceback_is_there_for_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMX_DEBUG", "1")
    assert "Traceback (most recent call last)" in ends(errors.DataError("a")).stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    endless = "from mmx.cli.guard import guarded\nguarded(lambda: [print('x' * 1000) for _ in range(100_000)] and 0)()"
    command = f'"{sys.executable}" -c "{endless}" | head -c 1 > /dev/null; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("141", "")


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "mmx", "--version"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith("mmx ")


def test_every_command_has_examples_and_fits_80_columns(mmx: Mmx) -> None:
    commands = ["", "run", "eval", "recipe", "plugins", "plugins show"]
    commands += [f"recipe {name}" for name in ("check", "show", "schema", "list", "copy", "new")]
    for command in commands:
        done = mmx(*command.split(), "--help")
        assert done.code == 0
        assert f"Examples:\n    mmx {command}".rstrip() in done.out, command
        assert max(map(len, done.out.splitlines())) <= 80, command


def test_exit_codes_are_documented(mmx: Mmx) -> None:
    shown = mmx("--help").out
    for code in (0, 1, 2, 3, 4, 5, 6, 75, 130, 143):
        assert f"\n    {code} " in shown


@pytest.mark.parametrize(
    "arguments", [("bogus",), ("run", "a", "b"), ("run", "--bogus"), ("recipe", "check"), ("plugins", "show")]
)
def test_wrong_usage(mmx: Mmx, arguments: tuple[str, ...]) -> None:
    done = mmx(*arguments)
    assert done.code == 2 and "Error: " in done.err and "Traceback" not in done.err


def test_completion_knows_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmx"],
        env={"_MMX_COMPLETE": "complete_bash", "COMP_WORDS": "mmx ", "COMP_CWORD": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert {"run", "eval", "recipe", "plugins"} <= set(done.stdout.split())


class Spy:
    """Stands for ``mmx.train.start`` and ``mmx.train.prepare``."""

    def __init__(self) -> None:
        self.request: RunRequest | None = None

    def prepare(self, request: RunRequest, say: Callable[[str], None]) -> RunRequest:
        self.request = request
        say("getting ready")
        return request

    def run(self, prepared: RunRequest, say: Callable[[str], None]) -> RunResult:
        say("training")
        return RunResult(75, {"run": "runs/x"})


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    from mmx.train import prepare, start

    made = Spy()
    monkeypatch.setattr(prepare, "prepare", made.prepare)
    monkeypatch.setattr(start, "start", made.run)
    return made


def test_run_hands_everything_on(mmx: Mmx, spy: Spy, recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module.sys, "argv", ["/bin/mmx", "run", "r.toml"])
    options = "--set seed=1 --set a.b=2 --unset c --resume auto --out there --name first --dry-run --quiet"
    done = mmx("run", "r.toml", *options.split())
    assert (done.code, done.out) == (75, "")
    assert spy.request == RunRequest(
        recipe=Path("r.toml"),
        overrides=("seed=1", "a.b=2"),
        unset=("c",),
        resume="auto",
        out=Path("there"),
        name="first",
        dry_run=True,
        json=False,
        quiet=True,
        argv=("mmx", "run", "r.toml"),
    )


def test_run_without_a_recipe_goes_on(mmx: Mmx, spy: Spy) -> None:
    assert mmx("run", "--resume", "runs/x").code == 75
    assert spy.request is not None and spy.request.recipe is None and spy.request.resume == "runs/x"


def test_json_is_alone_on_stdout(mmx: Mmx, spy: Spy, recipe: Path) -> None:
    done = mmx("run", "r.toml", "--json")
    assert done.out == '{\n  "run": "runs/x"\n}\n'
    assert done.err == "getting ready\ntraining\n"


def test_a_recipe_of_mmx_is_announced(mmx: Mmx, spy: Spy) -> None:
    assert mmx("run", "quickstart").out.startswith("recipe 'quickstart' of mmx: ")


def test_run_says_all_that_is_wrong_before_torch_is_needed(mmx: Mmx, recipe: Path) -> None:
    done = mmx("run", "r.toml", "--set", "seed=-1", "--set", "data.batch=x")
    assert done.code == 2 and done.err.startswith("error: r.toml: 2 problems\n--set seed: ")
    assert not Path("runs").exists()


def test_a_name_that_no_run_can_have_is_refused_before_anything_else(mmx: Mmx, spy: Spy, recipe: Path) -> None:
    done = mmx("run", "r.toml", "--name", "a/b")
    assert done.code == 2 and "up to 100 of A-Z a-z 0-9" in done.err and spy.request is None


def test_run_without_a_recipe_lists_those_there_are(mmx: Mmx) -> None:
    done = mmx("run")
    assert done.code == 2 and done.err.startswith("error: which recipe?")
    assert "\n  quickstart: A small CLIP" in done.err
    assert "\n  mmx run quickstart " in done.err and "\n  mmx run --resume runs/NAME " in done.err
    assert max(map(len, done.err.splitlines())) <= 80


def test_run_from_nothing(mmx: Mmx) -> None:
    done = mmx("run", "--quiet")
    assert done.code == 2 and "which recipe?" in done.err
    done = mmx("run", "--resume", "runs/none")
    assert done.code == 5
    done = mmx("eval", "runs/none")
    assert done.code == 5
