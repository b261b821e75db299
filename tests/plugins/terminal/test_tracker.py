"""What a user reads: bar or lines, warnings once, evaluations, and how a run ended."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mmx.parts.evaluator import Number, Result
from mmx.parts.events import Outcome, Run, Step
from mmx_terminal.config import TerminalConfig
from mmx_terminal.tracker import TerminalTracker

FINISHED = Outcome("finished", "", 100, 153.0, 0, "")


def step(at: int, part: float = 2.0, waited: float = 0.03, loss: float = 2.0) -> Step:
    return Step(at, at / 40, loss, {"contrastive": part}, 5e-4, 14.25, 1.0, 512.3, 0.1 * at, waited, 75.0, 0)


class Screen:
    def __init__(self, terminal: bool = False, width: int = 80, every: int = 50) -> None:
        self.file = io.StringIO()
        console = Console(
            file=self.file,
            force_terminal=terminal,
            force_interactive=terminal,
            width=width,
            color_system=None,
            highlight=False,
        )
        self.tracker = TerminalTracker(TerminalConfig(name="terminal", every=every), console)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()

    def show(self, run: Run, steps: list[Step]) -> None:
        self.tracker.mmx_run_start(run)
        for one in steps:
            self.tracker.mmx_step_end(one)


def test_a_pipe_gets_a_line_at_each_interval_with_the_mean_loss(run: Run) -> None:
    screen = Screen(every=50)
    screen.show(run, [step(at, loss=float(at)) for at in range(10, 101, 10)])
    assert [line.split()[1] for line in screen.lines] == ["10/100", "50/100", "100/100"]
    assert screen.lines[1] == (
        "step 50/100 (50%) epoch 1.25 Loss: 50.0000 (35.0000) 512/s LR: 0.000500 Logit Scale: 14.25 data 3% left 1:15"
    )


def test_bad_samples_are_counted_in_the_line(run: Run) -> None:
    screen = Screen()
    screen.show(run, [replace(step(10), skipped=3)])
    assert screen.lines[0].endswith("skipped 3")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_bar_fits_the_terminal(run: Run, width: int) -> None:
    screen = Screen(terminal=True, width=width)
    screen.show(replace(run, steps=100_000), [step(54_321)])
    screen.tracker.close()
    drawn = screen.file.getvalue().replace("\r", "\n").replace("\x1b[2K", "").replace("\x1b[?25h", "")
    assert all(len(line) <= width for line in drawn.splitlines() if "\x1b" not in line)
    assert "54321/100000" in drawn or width == 40


def test_the_bar_of_80_columns_has_all_facts(run: Run) -> None:
    screen = Screen(terminal=True)
    screen.show(run, [step(50)])
    screen.tracker.close()
    drawn = screen.file.getvalue()
    for fact in ("50/100", "loss 2.000", "512 img/s", "data 3%", "epoch 1.2", "1:15 left"):
        assert fact in drawn


def test_a_resumed_run_starts_where_it_was(run: Run) -> None:
    screen = Screen(terminal=True)
    screen.show(replace(run, start=40), [])
    screen.tracker.close()
    assert " 40/100" in screen.file.getvalue()
    assert "resumed after step 40 of 100" in screen.file.getvalue()


def test_waiting_for_data_is_said_once(run: Run) -> None:
    screen = Screen()
    screen.show(replace(run, steps=500), [step(at, waited=0.64) for at in range(10, 501, 10)])
    warnings = [line for line in screen.lines if line.startswith("warning")]
    assert warnings == [
        "warning: input-bound: 64% of the time waits for data; raise data.workers or use smaller pictures"
    ]


@pytest.mark.parametrize(
    ("slowest", "cure"),
    [("decode", "store smaller pictures"), ("read", "bring the data nearer"), ("texts", "raise data.workers")],
)
def test_the_slowest_stage_is_named_with_its_cure(run: Run, slowest: str, cure: str) -> None:
    screen = Screen()
    steps = [replace(step(at, waited=0.64), slowest=slowest) for at in range(10, 501, 10)]
    screen.show(replace(run, steps=500), steps)
    warning = next(line for line in screen.lines if line.startswith("warning"))
    assert f"for the stage '{slowest}'" in warning and cure in warning
    assert f" data 64% ({slowest}) left" in screen.lines[0]
    quick = Screen()
    quick.show(run, [replace(step(10, waited=0.04), slowest=slowest)])
    assert " data 4% left" in quick.lines[0]


def test_little_waiting_is_not_said(run: Run) -> None:
    screen = Screen()
    screen.show(replace(run, steps=500), [step(at, waited=0.1) for at in range(10, 501, 10)])
    assert not any("warning" in line for line in screen.lines)


def test_a_loss_that_stays_at_guessing_is_said_once(run: Run) -> None:
    screen = Screen()
    screen.show(replace(run, steps=500), [step(at, part=4.86) for at in range(10, 501, 10)])
    assert sum("the loss 'contrastive' stays near ln(batch) = 4.85" in line for line in screen.lines) == 1


@pytest.mark.parametrize(("first", "last"), [(4.85, 4.0), (10.4, 4.85)])
def test_a_loss_that_moves_is_not_said(run: Run, first: float, last: float) -> None:
    screen = Screen()
    losses = [first + (last - first) * at / 500 for at in range(10, 501, 10)]
    screen.show(replace(run, steps=500), [step(10 * (i + 1), part=loss) for i, loss in enumerate(losses)])
    assert not any("ln(batch)" in line for line in screen.lines)


def test_an_evaluation_is_one_line_with_interval_and_chance(run: Run, results: dict[str, Result]) -> None:
    screen = Screen()
    screen.show(run, [step(50)])
    screen.tracker.mmx_evaluation_end(57, results)  # between two steps that are shown
    assert screen.lines[-1] == "step 57 unseen_artist: top1 28.7 % (95 % 27.1 to 30.3 %, chance 0.05 %)"


def test_the_summary_has_numbers_folder_report_and_three_commands(run: Run, results: dict[str, Result]) -> None:
    (run.folder / "report.html").touch()
    screen = Screen()
    screen.show(run, [step(100)])
    screen.tracker.mmx_evaluation_end(7, results)
    screen.tracker.mmx_run_end(run, FINISHED)
    text = screen.file.getvalue()
    assert "finished at step 100 of 100 after 2 min 33 s" in text
    table = [
        line.split() for line in screen.lines if line.startswith("  ") and "mmx" not in line and "open" not in line
    ]
    assert [row[0] for row in table if row[0] != "95"] == ["top1", "top5", "held_out.among_own.top1", "median_rank"]
    assert "  top5                     51.5 %  50.0 to 53.0 %  0.26 %    1,607" in text
    assert f"run folder  {run.folder}" in screen.lines
    commands = screen.lines[screen.lines.index("next:") + 1 :]
    assert len(commands) == 3
    assert commands[0].endswith(f"open '{run.folder}/report.html'")
    assert commands[1] == f"  mmx eval '{run.folder}'"
    assert commands[2] == f"  mmx run '{run.folder}/resolved.toml' --set train.steps=200"


def test_a_run_that_measures_nothing_is_not_sent_to_mmx_eval(run: Run) -> None:
    screen = Screen()
    screen.tracker.mmx_run_start(run)
    screen.tracker.mmx_run_end(replace(run, recipe={}), FINISHED)
    commands = screen.lines[screen.lines.index("next:") + 1 :]
    assert commands[0] == "  mmx recipe schema evaluators" and not any("mmx eval" in line for line in commands)


def test_waiting_for_the_first_batch_is_not_what_limits_a_run(run: Run) -> None:
    screen = Screen()
    steps = [step(1, waited=1.0), *(step(at, waited=0.25) for at in range(10, 91, 10))]
    screen.show(replace(run, steps=500), steps)
    assert not any("input-bound" in line for line in screen.lines)


def test_training_longer_is_suggested_in_the_unit_of_the_recipe(run: Run) -> None:
    screen = Screen()
    screen.tracker.mmx_run_start(run)
    screen.tracker.mmx_run_end(replace(run, recipe={"train": {"epochs": 8.0}}), FINISHED)
    assert screen.lines[-1].endswith(" --set train.epochs=16")


@pytest.mark.parametrize("there", [True, False])
def test_after_the_quickstart_the_other_quickstart_is_suggested(run: Run, there: bool) -> None:
    recipes = run.folder / "quickstart"
    recipes.mkdir()
    if there:
        (recipes / "quickstart_vit.toml").touch()
    screen = Screen()
    screen.tracker.mmx_run_start(run)
    screen.tracker.mmx_run_end(replace(run, argv=("mmx", "run", f"{recipes}/quickstart.toml")), FINISHED)
    assert screen.lines[-1].endswith("/quickstart/quickstart_vit.toml'") is there


def test_a_stopped_run_says_where_it_was_saved_and_how_to_go_on(run: Run) -> None:
    screen = Screen()
    screen.show(run, [step(60)])
    screen.tracker.mmx_run_end(run, Outcome("stopped", "received SIGTERM", 60, 9.0, 143, "mmx run --resume runs/x"))
    assert "stopped     received SIGTERM" in screen.lines
    assert "saved       at step 60" in screen.lines
    assert "go on with  mmx run --resume runs/x" in screen.lines


def test_a_failed_run_leaves_the_error_to_the_command_line(run: Run, results: dict[str, Result]) -> None:
    screen = Screen(terminal=True)
    screen.show(run, [step(60)])
    screen.tracker.mmx_evaluation_end(7, results)
    before = len(screen.file.getvalue())
    screen.tracker.mmx_run_end(run, Outcome("failed", "the loss is nan", 60, 9.0, 6, "mmx run --resume runs/x"))
    after = screen.file.getvalue()[before:]
    assert "failed at step 60 of 100" in after
    assert "go on with  mmx run --resume runs/x" in after
    assert "the loss is nan" not in after and "╭" not in after


def test_names_cannot_steer_the_terminal(run: Run) -> None:
    screen = Screen()
    screen.tracker.mmx_run_start(run)
    screen.tracker.mmx_evaluation_end(7, {"\x1b[31m[bold]x": Result("a\nb", {"a\nb": Number(0.5)})})
    assert "step 7 \\x1b[31m[bold]x: a\\nb 0.5" in screen.lines
    screen.tracker.mmx_run_end(run, FINISHED)
    assert "\x1b" not in screen.file.getvalue()


def test_a_terminal_without_unicode_or_colour_gets_plain_text(run: Run) -> None:
    script = Path(__file__).parent / "show_run.py"
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C"}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, str(script), str(run.folder)], env=env, capture_output=True, check=True)
    assert done.stdout == b""
    said = done.stderr.decode("ascii")
    assert "unseen_\\u7236" in said and "finished at step 100" in said
    assert "\x1b" not in said


def test_the_bar_leaves_standard_output_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(terminal=True)
    screen.tracker.mmx_run_start(run)
    print('{"json": 1}')
    screen.tracker.close()
    assert capsys.readouterr().out == '{"json": 1}\n'
    assert "json" not in screen.file.getvalue()
