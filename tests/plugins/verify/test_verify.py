"""``mmx verify``, with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmx.plugin.manager import Plugins

Verify = Callable[..., Any]
Run = Callable[..., tuple[int, dict[str, Any]]]
ENGINE = "colossalai"


def needs_engine() -> None:
    missing = Plugins().registries["engine"][ENGINE].config(name=ENGINE).missing()  # pyright: ignore
    if missing:
        pytest.skip(missing.splitlines()[0])


@pytest.fixture
def odd() -> list[str]:
    """The arguments that verify an engine whose layouts err."""
    file = Path(__file__).parent / "files" / "odd.py"
    return ["quickstart_vit", "--set", "parallel.engine=odd", "--plugin", str(file)]


def test_an_engine_that_errs_is_caught(verify: Verify, odd: list[str]) -> None:
    done = verify(*odd, "--layouts", "right,doubled,halved,drops", "--layouts", "refuses,fails,accumulate4", "--json")
    assert done.code == 1, done.err
    found = json.loads(done.out)
    rows = {row["layout"]: row for row in found["layouts"]}
    assert {name: row["result"] for name, row in rows.items()} == {
        "accumulate4": "equal",
        "right": "equal",
        "doubled": "DIFFERS",
        "halved": "DIFFERS",
        "drops": "DIFFERS",
        "refuses": "refused",
        "fails": "failed",
    }
    assert rows["doubled"]["gradients"]["value"] == pytest.approx(1, rel=1e-3)
    assert rows["halved"]["gradients"]["value"] == pytest.approx(0.5, rel=1e-3)
    assert rows["doubled"]["fp64"]["gradients"]["value"] == pytest.approx(1, rel=1e-3)
    assert rows["halved"]["fp64"]["gradients"]["value"] == pytest.approx(0.5, rel=1e-3)
    assert "fp64" not in rows["drops"] and "fp64" not in rows["right"]
    assert rows["drops"]["gradients"]["value"] == "inf" and rows["drops"]["gradients"]["why"] == "is missing"
    assert rows["refuses"]["reason"].endswith('the nearest layout: parallel.how = "right"')
    assert (
        rows["fails"]["reason"] == "ZeroDivisionError: division by zero" and "Traceback" in rows["fails"]["traceback"]
    )
    assert rows["right"]["losses"] == found["references"]["fp32"]["losses"] and len(rows["right"]["losses"]) == 3
    assert not found["ok"] and found["parameters"] > 0 and "bf16" not in found["references"]


def test_quiet_says_only_what_is_wrong(verify: Verify, odd: list[str]) -> None:
    done = verify(*odd, "--layouts", "right,doubled", "--quiet")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("doubled ") and " DIFFERS " in done.err and "right" not in done.err


def test_the_layouts_there_are(verify: Verify, odd: list[str]) -> None:
    done = verify(*odd, "--list")
    assert done.code == 0 and '\n  engine = "odd", how = "drops"\n' in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    listed = json.loads(verify(*odd, "--list", "--json", "--layouts", "halved").out)["layouts"]
    assert [(one["layout"], one["options"]["how"]) for one in listed] == [("halved", "halved")]


def test_the_help_has_examples_and_fits_80_columns(verify: Verify) -> None:
    shown = verify("--help").out
    assert "Examples:\n    mmx verify " in shown and max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("layouts", "said"),
    [("double", "did you mean 'doubled'?"), (" , ", "names none"), ("dp2", "(known: accumulate4, ")],
)
def test_a_layout_that_does_not_exist(verify: Verify, odd: list[str], layouts: str, said: str) -> None:
    done = verify(*odd, "--layouts", layouts)
    assert done.code == 2 and done.err.startswith("error: --layouts") and said in done.err


def test_what_is_wrong_with_the_command_is_said_without_torch(tmp_path: Path) -> None:
    script = "import sys\nfrom mmx.cli.main import main\ntry: main()\nexcept SystemExit: print('torch' in sys.modules)"
    for arguments in (["--list"], ["--layouts", "tp3"], ["--set", "seed=-1"]):
        command = [sys.executable, "-c", script, "verify", "quickstart", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
        assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_many_processes_come_to_the_same_as_one(verify: Verify) -> None:
    needs_engine()
    done = verify("quickstart_vit", "--layouts", "dp2,tp2,pp2,accumulate4")
    assert done.code == 0, done.out + done.err
    assert done.err == "" and "\n\n4 equal\n" in done.out
    assert "the recipe at its own size refuses\n  pp2: parallel.pipeline = 2 is more than the 1 block" in done.out
    assert done.out.startswith("quickstart_vit, its tiny form: 3 steps of 16 made-up samples, ")
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.slow
def test_every_layout_comes_to_the_same_as_one_process(verify: Verify) -> None:
    needs_engine()
    config: Any = Plugins().registries["engine"][ENGINE].config
    done = verify("clip_b16", "--json")
    assert done.code == 0, done.out + done.err
    found = json.loads(done.out)
    assert {row["layout"]: row["result"] for row in found["layouts"]} == dict.fromkeys(
        ["accumulate4", *config.layouts()], "equal"
    )
    assert list(found["references"]) == ["fp32", "bf16"]


@pytest.mark.slow
def test_a_layout_that_rounding_moves_far_in_fp32_is_equal_in_fp64(verify: Verify) -> None:
    needs_engine()
    done = verify("quickstart", "--layouts", "dp2")  # at its seed, the sign of a ReLU's input flips at step 3
    assert done.code == 0, done.out + done.err
    assert "  rounding in fp32 came to " in done.out and " here; in fp64 it is equal to " in done.out
    assert done.out.endswith("\n\n1 equal\n")


@pytest.mark.slow
def test_what_an_engine_cannot_do_for_a_recipe_is_no_failure(verify: Verify) -> None:
    needs_engine()
    done = verify("quickstart", "--layouts", "dp2,tp2,sp2,accumulate4")
    assert done.code == 0, done.out + done.err
    assert done.out.endswith("\n\n1 equal, 3 refused\n")
    assert "sp2                          2 x 1  refused, as tp2\n" in done.out and "ModifiedResNet" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, odd: list[str]) -> None:
    # Where the tests run in the background of a script, SIGINT is ignored, and would be in here too.
    heed = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"
    )
    words = [sys.executable, "-m", "mmx", "verify", *odd, "--layouts", "right,hangs"]
    command = [sys.executable, "-c", heed, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert any(line.startswith("right ") for line in running.stdout)
        time.sleep(1)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does, to each of them
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "error: interrupted\n")
    deadline = time.monotonic() + 10
    while _any_of(running.pid) and time.monotonic() < deadline:
        time.sleep(0.1)  # the tracker of multiprocessing ends by itself
    assert not _any_of(running.pid)


def _any_of(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
