"""A manifest reads back as it was written, and is refused, with the reason, when it was not written so."""

import json
from typing import Any

import pytest

from mmx.checkpoint.manifest import Manifest, Record, decode

GOOD = Manifest(
    format=1,
    mmx="0.1.0",
    step=2,
    score=0.25,
    recipe="ab" * 32,
    files={"state.json": Record.of(b"{}"), "model.safetensors": Record.of(b"")},
)


def changed(change: dict[str, Any]) -> bytes:
    """Return the good manifest with a change, its own sha256 left as it was."""
    return (json.dumps(json.loads(GOOD.encode()) | change, indent=1) + "\n").encode()


def test_it_reads_back_equal() -> None:
    assert decode(GOOD.encode()) == GOOD and decode(changed({})) == GOOD
    without = GOOD.model_copy(update={"score": None, "files": {}})
    assert decode(without.encode()) == without


def test_a_newer_format_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match="format version is 3, this mmx reads up to 2; update mmx"):
        decode(changed({"format": 3, "shards": [1, 2]}))


def test_the_first_format_knows_no_frozen_files() -> None:
    assert b"frozen" not in GOOD.encode()
    record = Record.of(b"tower")
    second = GOOD.model_copy(update={"format": 2, "frozen": {"model": record}})
    assert decode(second.encode()) == second
    with pytest.raises(ValueError, match="own sha256"):
        decode(changed({"frozen": {"model": record.model_dump()}}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": 3}, "own sha256"),
        ({"score": 0.5}, "own sha256"),
        ({"recipe": "x"}, "own sha256"),
        ({"format": 0}, "format"),
        ({"format": True}, "own sha256"),
        ({"format": "1"}, "format"),
        ({"step": -1}, "step"),
        ({"step": 2.5}, "step"),
        ({"files": {"../x.json": {"sha256": "0" * 64, "size": 1}}}, "files"),
        ({"files": {"/etc/x.json": {"sha256": "0" * 64, "size": 1}}}, "files"),
        ({"files": {"model.pt": {"sha256": "0" * 64, "size": 1}}}, "files"),
        ({"files": {"model.safetensors": {"sha256": "0", "size": 1}}}, "files"),
        ({"files": []}, "files"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_change_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(changed(change))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"format": 1' + b"0" * 5000 + b"}",
        b'{"format": 1, "format": 1}',
        b'{"format": NaN}',
        b" " * (2 << 20),
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"MANIFEST\.json"):
        decode(data)


def test_spaces_and_order_count() -> None:
    body = json.loads(GOOD.encode())
    for text in (
        json.dumps(body),
        json.dumps(body, indent=1),
        json.dumps(dict(reversed(body.items())), indent=1) + "\n",
    ):
        with pytest.raises(ValueError, match="own sha256"):
            decode(text.encode())
