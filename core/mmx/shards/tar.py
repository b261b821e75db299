"""The members of a tar, from its headers alone. Nothing is extracted and no link is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mmx.errors import DataError

BLOCK: Final = 512
_REGULAR: Final = (b"0", b"\0", b"7")
_LONGEST_NAME: Final = 65_536
_LARGEST: Final = 2**62


@dataclass(frozen=True)
class Member:
    """A regular file of a tar, and where its bytes are."""

    name: str
    offset: int
    size: int


Read = Callable[[int, int], bytes]
"""Returns bytes by offset and size, fewer at the end of the file."""


def members(read: Read, shard: str) -> Iterator[Member]:
    """Yield the regular files in order; directories, links and devices are passed over.

    The last one may reach beyond the end of a tar that was cut short; reading it tells.

    Raises:
        DataError: it is not a tar, or a header is damaged or cut off; the message names the shard and the byte.
    """
    position, name, size = 0, None, None
    while True:
        header = read(position, BLOCK)
        if not header or header.count(0) == BLOCK:
            return
        kind, length = _check(header, shard, position)
        start = position + BLOCK
        position = start + -(-length // BLOCK) * BLOCK
        if kind in (b"x", b"L"):
            extra = _extra(read, start, length, shard)
            if kind == b"L":
                name = _text(extra)
            else:
                name, size = _pax(extra, name, size)
            continue
        if size is not None:  # an extended header overrides the size, which its own field cannot hold
            position, length = start + -(-size // BLOCK) * BLOCK, size
        if kind in _REGULAR:
            yield Member(name or _name(header), start, length)
        name, size = None, None


def _check(header: bytes, shard: str, position: int) -> tuple[bytes, int]:
    if len(header) < BLOCK:
        raise DataError(f"shard {shard} is cut short: it ends inside a header, at byte {position + len(header)}")
    try:
        length, expected = _number(header[124:136]), _number(header[148:156])
    except ValueError:
        length, expected = 0, -1
    if expected != sum(header) - sum(header[148:156]) + 8 * ord(" ") or not 0 <= length < _LARGEST:
        what = "is not a tar" if position == 0 else f"has a damaged header at byte {position}"
        raise DataError(f"shard {shard} {what}; build or download it again (compressed tars must be unpacked first)")
    return header[156:157], length


def _extra(read: Read, start: int, length: int, shard: str) -> bytes:
    if length > _LONGEST_NAME:
        raise DataError(f"shard {shard} has a name of {length} bytes at byte {start}")
    return read(start, length)


def _pax(records: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Return the path and size of ``LENGTH KEY=VALUE`` records, or what was known if they have none."""
    while records:
        length, space, _ = records.partition(b" ")
        if not space or not length.isdigit() or not 0 < int(length) <= len(records):
            break
        key, _, value = records[len(length) + 1 : int(length)].rstrip(b"\n").partition(b"=")
        if key == b"path":
            name = _text(value)
        elif key == b"size" and value.isdigit() and int(value) < _LARGEST:
            size = int(value)
        records = records[int(length) :]
    return name, size


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return f"{prefix}/{name}" if prefix and header[257:262] == b"ustar" and header[262:263] == b"\0" else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # base 256, for sizes from 8 GiB on
        return int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    return int(field.strip(b"\0 ") or b"0", 8)
