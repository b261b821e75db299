"""``mmx data index`` and ``mmx data verify``."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from mmx_data import command_shards as data_shards
from mmx_shards.format.build import build
from mmx_shards.format.roles import Extensions
from mmx_storage.files import Files


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Data = Callable[..., Done]


def write(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (4, 4)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Run a command in a folder with two shards, of which the second has a sample without a caption."""
    monkeypatch.chdir(tmp_path)
    good = [(f"{n}.{kind}", picture() if kind == "png" else b"text") for n in range(3) for kind in ("png", "txt")]
    write(tmp_path / "0.tar", good)
    write(tmp_path / "1.tar", [*good, ("mute\x1b[2J.png", picture()), ("0.json", b'{"score": 0.5}')])
    app = typer.Typer()
    app.command("index", epilog=data_shards.INDEX_EXAMPLES)(data_shards.index)
    app.command("verify", epilog=data_shards.VERIFY_EXAMPLES)(data_shards.verify)

    def run(*arguments: str) -> Done:
        done = CliRunner().invoke(app, arguments)
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


def test_an_index_is_made_and_then_all_is_well(data: Data) -> None:
    done = data("index", "{0..1}.tar", "--workers", "1")
    assert (done.code, done.err.strip()) == (0, "")
    assert done.out.splitlines() == [
        "1.tar                 no caption (.txt): mute\\x1b[2J",
        "mmx-index.safetensors: 2 shards, 7 samples",
        "numbers of samples: score",
    ]
    done = data("verify", ".", "--workers", "1", "--decode")
    assert (done.code, done.err.strip()) == (0, "")
    assert done.out.splitlines()[-1] == "2 shards, 7 samples: nothing has changed since it was indexed"
    assert "without an index" not in done.out


def test_what_is_wrong_is_exit_code_4(data: Data) -> None:
    data("index", ".", "--workers", "1")
    os.truncate("0.tar", 2048)
    done = data("verify", "{0..1}.tar", "--workers", "1")
    assert done.code == 4 and max(map(len, done.out.splitlines())) <= 80
    assert "0.tar                 wrong: is cut short" in done.out and "changed or are gone: 1, 2" in done.out
    assert done.out.splitlines()[-1] == "2 shards, 4 samples: 1 shard wrong"
    document = json.loads(data("verify", ".", "--workers", "1", "--json").out)
    assert (document["ok"], document["indexed"]) == (False, True)
    assert [bool(shard["wrong"]) for shard in document["shards"]] == [True, False]
    quiet = data("verify", ".", "--workers", "1", "--quiet")
    assert quiet.code == 4 and "1 shard wrong" in quiet.out


def test_without_an_index_it_is_said_what_is_not_found(data: Data) -> None:
    done = data("verify", ".", "--workers", "1")
    assert done.code == 0 and "without an index, a changed shard or a lost one cannot be found" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_damaged_shards_are_refused_or_left_out(data: Data) -> None:
    os.truncate("0.tar", 2048)
    done = data("index", ".", "--workers", "1")
    assert done.code == 4 and "0.tar is cut short" in done.err and "--skip-damaged" in done.err
    assert not Path("mmx-index.safetensors").exists()
    done = data("index", ".", "--workers", "1", "--skip-damaged", "--to", "x/i")
    assert done.code == 0 and "left out: shard ./0.tar is cut short" in " ".join(done.out.split())
    assert "x/i: 1 shard, 4 samples; 1 left out" in done.out and Path("x/i").exists()
    document = json.loads(data("index", ".", "--workers", "1", "--skip-damaged", "--json").out)
    assert document["samples"] == 4 and document["shards"][0]["damage"].startswith("shard ./0.tar is cut short")
    assert document["shards"][1]["findings"] == [{"what": "no caption (.txt)", "count": 1, "samples": ["mute\x1b[2J"]}]


def test_other_extensions(data: Data) -> None:
    done = data("index", ".", "--workers", "1", "--image", ".PNG, jpg", "--caption", "json:score")
    assert done.code == 4 and "was to be of .json:score captions and .png .jpg pictures" in done.err
    assert not Path("mmx-index.safetensors").exists()
    assert data("index", ".", "--image", "tiff", "--workers", "1").code == 4


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("index", "pipe:cat x"), 2, "cannot be read: expected a path"),
        (("index", "no.tar"), 4, "no.tar does not exist"),
        (("index", "memory://x/0.tar"), 2, "--to FILE"),
        (("verify", ".", "--index", "no"), 4, "no index at"),
        (("index",), 2, "PATTERN"),
    ],
)
def test_what_cannot_be_done(arguments: tuple[str, ...], code: int, message: str, data: Data) -> None:
    done = data(*arguments)
    assert done.code == code and message in done.err and "Traceback" not in done.err


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, mmx_data.command_shards\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'safetensors', 'mmx_shards.format.build') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def _hear() -> None:
    """A script's background ignores Ctrl-C, and so would what it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("command", ["index", "verify"])
def test_ctrl_c_does_not_wait_for_shards_that_are_being_read(command: str, tmp_path: Path) -> None:
    arguments = {"index": ["--to", str(tmp_path / "i")], "verify": ["--index", str(tmp_path / "i")]}[command]
    write(tmp_path / "a.tar", [("0.png", picture()), ("0.txt", b"text")])
    build(Files([str(tmp_path / "a.tar")]), Extensions(), tmp_path / "i", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{{0..3}}.tar"
        running = subprocess.Popen(
            [sys.executable, "-m", "mmx", "data", command, url, *arguments, "--workers", "2"],
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_hear,
            start_new_session=True,
        )
        with running, silent.accept()[0], silent.accept()[0]:  # each process waits for an answer
            os.killpg(running.pid, signal.SIGINT)
            _, said = running.communicate(timeout=20)  # until nobody holds the pipes any more
    assert running.returncode == 130 and "interrupted" in said and "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "i"]
