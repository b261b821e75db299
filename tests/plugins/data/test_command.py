"""``mmx data`` as a command: what it prints, its exit codes, and that it goes on after it was killed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mmx.cli.main import app

TOY = Path(__file__).with_name("toy_pairs.py")
COMMAND = (sys.executable, "-m", "mmx", "data")
Data = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Run a command of ``mmx data`` in an empty folder, with the toy dataset."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["data", *map(str, arguments), "--plugin", str(TOY)])


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """Forty samples, one of them bad."""
    rows = [{"key": f"{at:03d}", "colour": [at, 2, 3], "texts": [f"thing {at}"]} for at in range(40)]
    rows[7]["format"] = "broken"
    path = tmp_path / "data.toy"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def digests(folder: Path) -> Mapping[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_inspect(data: Data, toys: Path) -> None:
    done = data("inspect", toys, "--html", "page.html", "--workers", 1)
    assert done.exit_code == 0, done.output
    assert "toy" in done.stdout and "1 of these (2.5 %)" in done.stdout and "[data.train]" in done.stdout
    assert "<h2>Samples</h2>" in Path("page.html").read_text()
    found = json.loads(data("inspect", toys, "--json", "--look", 5, "--tokenizer", "clip").stdout)
    assert (found["samples"], found["looked_at"], found["tokens"]["context"]) == (40, 5, 77)


def test_stats(data: Data, toys: Path) -> None:
    done = data("stats", toys, "--workers", 1)
    assert done.exit_code == 0 and "more than once" in done.stdout
    found = json.loads(data("stats", toys, "--json").stdout)
    assert (found["samples"], found["good"], found["bad"][0]["samples"], found["bad"][0]["first"]) == (40, 39, 1, "007")


def test_pack_and_split(data: Data, toys: Path) -> None:
    done = data("pack", toys, "out", "--shard-samples", 15, "--workers", 1, "--name", "toy-{}.tar")
    assert done.exit_code == 0, done.output
    assert "read            40 samples\n  written         39\n  skipped         1, listed in out" in done.stdout
    assert 'urls = ["out/toy-{00000..00002}.tar"]' in done.stdout
    assert sorted(digests(Path("out"))) == [
        "mmx-index.safetensors", "pack.jsonl", "skipped.jsonl", "toy-00000.tar", "toy-00001.tar", "toy-00002.tar",
    ]  # fmt: skip
    done = data("split", "out", "parts", "--parts", "train=0.8,val=0.2", "--workers", 1, "--json")
    parts = json.loads(done.stdout)
    assert parts["written"] == 39 == sum(part["written"] for part in parts["parts"])
    assert [part["shards"] for part in parts["parts"]] == ["parts/train-00000.tar", "parts/val-00000.tar"]


def test_filters_and_an_order_at_random(data: Data, toys: Path) -> None:
    keep = ("--set", "keep.min_characters=8", "--workers", 1)
    for command in (("inspect", toys), ("stats", toys), ("pack", toys, "out", "--shuffle", 3)):
        done = data(*command, *keep)
        assert done.exit_code == 0, done.output
        assert "  left out        10 (keep.min_characters: 10)\n" in done.stdout
        assert json.loads(data(*command, *keep, "--json").stdout)["left_out"] == {"min_characters": 10}
    done = data("pack", toys, "out", "--shuffle", 4, *keep)
    assert done.exit_code == 4 and "shuffle = 3, now 4" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("inspect", "nothing"), 4, "no dataset reads it"),
        (("pack", "data.toy", "."), 4, "is not empty"),
        (("pack", "data.toy", "out", "--name", "x"), 2, "--name x"),
        (("pack", "data.toy", "out", "--set", "x=1"), 2, "unknown key"),
        (("split", "data.toy", "out", "--parts", "a=2"), 2, "--parts"),
        (("inspect", "data.toy", "--html", "no/folder/x.html"), 4, "cannot be written"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], code: int, told: str, data: Data, toys: Path) -> None:
    done = data(*arguments)
    assert done.exit_code == code and told in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "light"),
    [
        (
            ("data", "--help"),
            ("torch", "webdataset", "numpy", "PIL", "rich", "mmx.plugin.registry", "mmx_data.pack"),
        ),
        (
            ("data", "pack", "--help"),
            ("torch", "webdataset", "numpy", "PIL", "rich", "mmx.plugin.registry", "mmx_data.pack"),
        ),
        (("data", "inspect", "nothing"), ("torch", "webdataset", "rich", "pyarrow", "datasets")),
    ],
)
def test_what_needs_no_data_is_quick(arguments: tuple[str, ...], light: tuple[str, ...], tmp_path: Path) -> None:
    script = f"""
import sys
sys.argv = ["mmx", *{list(arguments)!r}]
from mmx.cli.main import main
try:
    main()
except SystemExit:
    print("modules", *sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "mmx_data.command" in loaded and not loaded & set(light)


def start(toys: Path, out: str, wait: float) -> "subprocess.Popen[str]":
    arguments = ["pack", str(toys), out, "--shard-samples", "3", "--workers", "2", "--plugin", str(TOY)]
    environment = {**os.environ, "MMX_TOY_WAIT": str(wait)}
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=toys.parent,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_hear,
    )


def _hear() -> None:
    """A script's background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until_some_are_done(out: Path, running: "subprocess.Popen[str]") -> None:
    """Wait until three shards are done."""
    journal, end = out / "pack.jsonl", time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < 4:
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_where_it_was_ended(how: signal.Signals, data: Data, toys: Path) -> None:
    out = toys.parent / "out"
    with start(toys, "out", 0.1) as running:
        until_some_are_done(out, running)
        running.send_signal(how)
        _, said = running.communicate(timeout=60)
    assert running.returncode == (-how if how == signal.SIGKILL else 130)
    done = len((out / "pack.jsonl").read_bytes().splitlines()) - 1
    assert 3 <= done < 14, "it was not ended in the middle"
    if how == signal.SIGINT:
        assert "the same command goes on" in said and "Traceback" not in said
        assert not list(out.glob(".*"))
    again = data("pack", toys, "out", "--shard-samples", 3, "--workers", 1, "--json")
    whole = data("pack", toys, "whole", "--shard-samples", 3, "--workers", 1, "--json")
    assert json.loads(again.stdout)["done_before"] >= 3 and json.loads(whole.stdout)["done_before"] == 0
    assert digests(out) == digests(toys.parent / "whole")
