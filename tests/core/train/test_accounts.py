"""Accounts: of every source, each sample is trained on, skipped by name, or left out by a filter. None is missing."""

import gc
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmx.errors import DataError
from mmx.runs.layout import RunFolder
from mmx.runs.lines import read_lines
from mmx_toy.proof import counted, entries, final, skipped
from mmx_toy.start import start
from mmx_toy.tars import Member, index, pair, picture, write

BATCH, EPOCHS = 6, 2
GOOD, PUT_ASIDE = {"web": 17, "own": 21}, {"web": 3, "own": 4}
"""Good samples of each source that pass its filter, and those that do not."""
KINDS = {
    "torn": "the picture cannot be decoded: OSError: .*runcated",
    "page": r"not a JPEG, PNG, WEBP or GIF picture: its first bytes are b'<html>",
    "bomb": "the picture has more than 64000000 pixels",
    "twins": "has a second picture: they are at bytes",
    "empty": "the caption is empty",
    "latin": r"the caption is not UTF-8 \(byte 3\)",
    "mute": r"has no caption \(.txt\)",
}
"""What can be wrong with a sample, and what is said of it."""
UNMEASURED = ("twins", "empty", "latin", "mute")
"""Kinds that an index has no numbers of, so that a filter by score leaves them out."""
SKIPPED = {"web": set(KINDS), "own": set(KINDS) - set(UNMEASURED)}
LEFT_OUT = {
    "sources.own.keep.fields.score": PUT_ASIDE["own"] + len(UNMEASURED),
    "sources.web.keep.min_side": PUT_ASIDE["web"],
}
SIZES = {source: GOOD[source] + PUT_ASIDE[source] + len(KINDS) for source in GOOD}


def bomb() -> bytes:
    """Return a PNG that says it has 3.6 thousand million pixels."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"")))
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def broken(kind: str) -> list[Member]:
    """Return the members of a sample of one of ``KINDS``."""
    image = {"torn": picture(0, 10, "JPEG")[:500], "page": b"<html>404</html>", "bomb": bomb()}.get(kind, picture(1))
    caption = {"empty": b"\n", "latin": "caf\xe9".encode("latin-1")}.get(kind, b"a caption")
    members = pair(kind, image, caption, score=0.9)
    if kind == "twins":
        members.append(Member("twins.jpg", picture(2, 10, "JPEG")))
    return [member for member in members if kind != "mute" or not member.name.endswith(".txt")]


def tars(folder: Path, source: str) -> list[Path]:
    """Write two tars, the bad samples spread over both."""
    good = [pair(f"{n:02}", picture(n), f"good {n}".encode(), 0.9) for n in range(GOOD[source])]
    aside = [pair(f"a{n}", picture(n, 6), b"small, and of low score", 0.1) for n in range(PUT_ASIDE[source])]
    samples = [sample for pieces in zip(good, [*map(broken, KINDS), *aside], strict=False) for sample in pieces]
    samples += good[len(KINDS) + len(aside) :]
    paths = [folder / f"{source}-{tar}.tar" for tar in range(2)]
    folder.mkdir()
    for tar, path in enumerate(paths):
        write(path, [member for sample in samples[tar::2] for member in sample])
    return paths


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def options(data: Path) -> tuple[str, ...]:
    """Two sources: ``own`` has an index."""
    tars(data / "web", "web")
    index(tars(data / "own", "own"))
    urls = [f"data.sources.{one}.urls={json.dumps([str(data / one / f'{one}-{{0..1}}.tar')])}" for one in GOOD]
    names = [f"data.sources.{one}.name='shards'" for one in GOOD]
    filters = ("data.sources.web.keep.min_side=8", "data.sources.own.keep.fields.score.min=0.5")
    length = ("data.bad_samples=0.5", f"train.epochs={EPOCHS}", "train.log_every=3")
    return (*urls, *names, *filters, *length)


@pytest.fixture(scope="module")
def run(options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("run"), *options)


def trained(out: Path, *options: str) -> Path:
    assert start(out, *options, unset=("data.train", "train.steps")).exit_code == 0
    return out / "run"


def test_every_sample_is_trained_on_or_skipped_or_left_out(run: Path) -> None:
    row = next(row for row in read_lines(run / "metrics.jsonl") if row["kind"] == "run")
    assert row["left_out"] == LEFT_OUT and row["samples"] % BATCH == 0, "each sample is read once an epoch"
    assert counted(run) == {one: (EPOCHS * GOOD[one], EPOCHS * len(SKIPPED[one])) for one in GOOD}
    out = {one: sum(count for key, count in LEFT_OUT.items() if f".{one}." in key) for one in GOOD}
    assert {one: (trained + bad) // EPOCHS + out[one] for one, (trained, bad) in counted(run).items()} == SIZES
    ledger = entries(run)
    assert sum(entry.rows for entry in ledger) == EPOCHS * row["samples"] == len(ledger) * BATCH


def test_each_bad_sample_is_told_once_an_epoch_with_its_reason(run: Path) -> None:
    rows = skipped(run)
    told = Counter((row["epoch"], row["key"].partition("/")[0], row["key"].rpartition("/")[2]) for row in rows)
    assert told == Counter((epoch, one, kind) for epoch in range(EPOCHS) for one in GOOD for kind in SKIPPED[one])
    for row in rows:
        assert re.match(KINDS[row["key"].rpartition("/")[2]], row["reason"]), row
    assert [row["key"] for row in rows] == [key for entry in entries(run) for key in entry.skipped]


def test_the_number_of_workers_changes_nothing(run: Path, options: tuple[str, ...], tmp_path: Path) -> None:
    two = trained(tmp_path, *options, "data.workers=2")
    assert final(two) == final(run) and entries(two) == entries(run)
    assert (counted(two), skipped(two)) == (counted(run), skipped(run))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_reader_that_goes_on_in_silence_lacks_samples(
    data: Path, run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    webdataset = pytest.importorskip("webdataset")
    go_on: Callable[[Exception], bool] = webdataset.ignore_and_continue
    for one, size in SIZES.items():
        urls = [str(path) for path in sorted((data / one).glob("*.tar"))]
        read: Any = webdataset.WebDataset(urls, shardshuffle=False, handler=go_on)
        yielded = sum(1 for _ in read.decode("pil", handler=go_on).to_tuple("jpg;png", "txt", handler=go_on))
        assert 0 < yielded < size
        trained, bad = counted(run)[one]
        assert yielded != (trained + bad) // EPOCHS, "it would pass"
    gc.collect()  # it leaves its files open
    assert capfd.readouterr() == ("", ""), "it names none of them"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_of_bad_samples_stops_the_run_at_once(workers: int, tmp_path: Path) -> None:
    paths = [tmp_path / "bad.tar"]
    write(paths[0], [member for n in range(12) for member in pair(f"{n:02}", picture(n)[:99], b"a caption", 0.9)])
    with pytest.raises(
        DataError, match=r"bad samples in epoch 0: 6 so far, more than the 0 of 12 .*bad/\d+: the pic"
    ) as e:
        start(tmp_path, "data.train.name='shards'", f"data.train.urls=['{paths[0]}']", f"data.workers={workers}")
    assert e.value.exit_code == 4 and RunFolder(tmp_path / "run").status().status == "failed"
    assert entries(tmp_path / "run") == [] and not (tmp_path / "run" / "checkpoints").exists()
