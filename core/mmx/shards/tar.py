"""The members of a tar, from its headers alone. Nothing is extracted and no link is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from mmx.errors import DataError

BLOCK: Final = 512
_REGULAR: Final = (b"0", b"\0", b"7")
_LONGEST_NAME: Final = 65_536
_LARGEST: Final = 2**62
_DIGITS: Final = 19
"""Of the longest number that an extended header may hold; longer ones cost time to read."""


class DamagedShardError(DataError):
    """A shard is no tar, or not all of one."""


@dataclass(frozen=True)
class Member:
    """A regular file of a tar, and where its bytes are."""

    name: str
    offset: int
    size: int


Read = Callable[[int, int], bytes]
"""Returns bytes by offset and size, fewer at the end of the file."""


@final
class Walk:
    """The regular files of a tar, in order; directories, links and devices are passed over.

    The last one may reach beyond the end of a tar that was cut short: ``end`` tells.
    """

    def __init__(self, read: Read, shard: str) -> None:
        self.end = 0
        """Where the last member ends by its header, or the end mark; known when all members were seen."""
        self.marked = False
        """Whether a tar's end mark, two empty blocks, was there."""
        self._read, self._shard = read, shard

    def __iter__(self) -> Iterator[Member]:
        """Yield the members.

        Raises:
            DamagedShardError: it is not a tar, or a header is damaged or cut off; the message names the shard and the byte.
        """
        name, size = None, None
        while True:
            header = self._read(self.end, BLOCK)
            if not header or header.count(0) == BLOCK:
                self._finish(header)
                return
            kind, length = _check(header, self._shard, self.end)
            start = self.end + BLOCK
            self.end = start + _padded(length)
            if kind in (b"x", b"L"):
                extra = self._extra(start, length)
                if kind == b"L":
                    name = _text(extra)
                else:
                    name, size = _pax(extra, name, size)
                continue
            if size is not None:  # an extended header overrides the size, which its own field cannot hold
                self.end, length = start + _padded(size), size
            if kind in _REGULAR:
                yield Member(name or _name(header), start, length)
            name, size = None, None

    def _finish(self, header: bytes) -> None:
        if header:
            again = self._read(self.end + BLOCK, BLOCK)
            self.marked = len(again) == BLOCK == again.count(0)
            self.end += BLOCK + len(again) * self.marked

    def _extra(self, start: int, length: int) -> bytes:
        if length > _LONGEST_NAME:
            raise DamagedShardError(f"shard {self._shard} has a name of {length} bytes at byte {start}")
        data = self._read(start, length)
        if len(data) < length:
            raise DamagedShardError(
                f"shard {self._shard} is cut short: it ends inside a name, at byte {start + len(data)}"
            )
        return data


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _check(header: bytes, shard: str, position: int) -> tuple[bytes, int]:
    if len(header) < BLOCK:
        raise DamagedShardError(
            f"shard {shard} is cut short: it ends inside a header, at byte {position + len(header)}"
        )
    try:
        length, expected = _number(header[124:136]), _number(header[148:156])
    except ValueError:
        length, expected = 0, -1
    if expected != sum(header) - sum(header[148:156]) + 8 * ord(" ") or not 0 <= length < _LARGEST:
        what = "is not a tar" if position == 0 else f"has a damaged header at byte {position}"
        raise DamagedShardError(
            f"shard {shard} {what}; build or download it again (compressed tars must be unpacked first)"
        )
    return header[156:157], length


def _pax(records: bytes, name: str | None, size: int | None) -> tuple[str | None, int | None]:
    """Return the path and size of ``LENGTH KEY=VALUE`` records, or what was known if they have none."""
    position = 0
    while position < len(records):
        space = records.find(b" ", position, position + _DIGITS + 1)
        length = _counted(records[position:space]) if space > 0 else None
        if length is None or not 0 < length <= len(records) - position:
            break
        key, _, value = records[space + 1 : position + length].rstrip(b"\n").partition(b"=")
        if key == b"path":
            name = _text(value)
        elif key == b"size":
            number = _counted(value)
            size = number if number is not None and number < _LARGEST else size
        position += length
    return name, size


def _counted(digits: bytes) -> int | None:
    return int(digits) if len(digits) <= _DIGITS and digits.isdigit() else None


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500])
    return f"{prefix}/{name}" if prefix and header[257:262] == b"ustar" and header[262:263] == b"\0" else name


def _text(field: bytes) -> str:
    """Return a name; bytes that are not UTF-8 are written out, so that names that differ stay so."""
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # base 256, for sizes from 8 GiB on
        return int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    return int(field.strip(b"\0 ") or b"0", 8)
