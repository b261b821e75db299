"""The page of an inspection: one file, nothing fetched, no script."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from mmx.checkpoint.atomic import write_bytes
from mmx.data.decode import decode
from mmx.data.stored import StoredDataset
from mmx.errors import DataError
from mmx.wording import printable
from mmx_data.inspect import Inspection
from mmx_data.seen import Seen
from mmx_data.text import facts, field_text, value_text
from mmx_storage.urls import shown

POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SIDE: Final = 560
"""Pixels of a thumbnail's longer side, at most."""
_KEPT: Final = "\n\u200c\u200d"
"""Line ends, and the marks that join letters or keep them apart; scripts and emoji need them."""
_TEXT: Final = 1000
"""Characters of a caption or a field's value that are shown."""


def write_page(path: Path, title: str, found: Inspection, dataset: StoredDataset, largest: int) -> None:
    """Write the page.

    Args:
        path: the file, replaced if it is there.
        title: what was inspected.
        found: what was found.
        dataset: where the pictures of the shown samples are.
        largest: pixels of the largest picture that is decoded.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        write_bytes(path, page(title, found, dataset, largest).encode("utf-8", "replace"))
    except OSError as error:
        raise DataError(f"--html {path} cannot be written: {error.strerror or error}") from error


def page(title: str, found: Inspection, dataset: StoredDataset, largest: int) -> str:
    """Return the page as HTML."""
    style = (files("mmx_data") / "page.css").read_text(encoding="utf-8")
    body = "".join(_sections(shown(title), found, dataset, largest))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_safe(shown(title))}</title><style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def _sections(title: str, found: Inspection, dataset: StoredDataset, largest: int) -> Iterator[str]:
    yield f"<h1>{_safe(title)}</h1><p>Looked at by mmx data inspect</p>"
    pairs = "".join(f"<div><dt>{_safe(name)}</dt><dd>{_safe(text)}</dd></div>" for name, text in facts(found))
    yield f'<dl class="card facts">{pairs}</dl>'
    if found.shown:
        shots = "".join(_shot(one, dataset, largest) for one in found.shown)
        yield f'<h2>Samples</h2><ul class="shots">{shots}</ul>'
    if found.fields:
        rows = {name: field_text(field, found.looked_at) for name, field in found.fields.items()}
        yield f'<h2>Fields</h2><div class="card">{_table(rows)}</div>'
    if found.bad:
        rows = {one.key: one.reason for one in found.bad}
        yield f'<h2 class="bad">Bad samples</h2><div class="card">{_table(rows)}</div>'
    yield from (f"<p>{_safe(note)}</p>" for note in found.notes)
    yield f'<h2>In a recipe</h2><div class="card"><pre>{_safe(found.table)}</pre></div>'
    yield "<footer>This page fetches nothing and runs no script.</footer>"


def _shot(one: Seen, dataset: StoredDataset, largest: int) -> str:
    captions = "".join(f'<li dir="auto">{_safe(text)}</li>' for text in one.texts)
    about = f"{one.key} · {one.format} · {one.width} x {one.height} px"
    fields = _table(one.fields) if one.fields else ""
    return (
        f'<li class="shot"><img src="{_thumbnail(one, dataset, largest)}" alt="{_safe(one.texts[0][:100])}">'
        f'<div><div class="key">{_safe(about)}</div><ul class="captions">{captions}</ul>{fields}</div></li>'
    )


def _thumbnail(one: Seen, dataset: StoredDataset, largest: int) -> str:
    picture = decode(dataset.raw(one.index).image, one.key, largest)
    picture.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def _table(rows: Mapping[str, Any]) -> str:
    cells = (
        f'<tr><th scope="row">{_safe(name)}</th><td>{_safe(value_text(value))}</td></tr>'
        for name, value in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"


def _safe(text: str) -> str:
    """Escape markup, and what is not printable, such as marks that turn the direction of writing."""
    cut = text if len(text) <= _TEXT else f"{text[: _TEXT - 3]}..."
    return escape("".join(letter if letter in _KEPT else printable(letter) for letter in cut))
