"""The members of a tar, from its headers alone. Nothing is extracted and no link is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from mmx.errors import DataError

BLOCK: Final = 512
_REGULAR: Final = (b"0", b"\0", b"7")
_BARE: Final = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Links, devices, directories and pipes: no bytes follow them, whatever size their headers say."""
_PAX: Final = (b"x", b"X")
_PASSED: Final = (b"g", b"K")
"""Headers that may stand between a member and what extends it."""
_SPARSE: Final = b"GNU.sparse."
_LONGEST_NAME: Final = 2**16
_LONGEST_PAX: Final = 2**22
"""Bytes of an extended header: macOS puts the attributes of a file into it."""
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


@dataclass
class _Known:
    """What extended headers say of the member behind them."""

    name: str | None = None
    size: int | None = None
    """Overrides that of the member's own header, whose field cannot hold it."""
    sparse: bool = False


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
        known = _Known()
        while True:
            header = self._read(self.end, BLOCK)
            if not header or header.count(0) == BLOCK:
                self._finish(header)
                return
            kind, length = _check(header, self._shard, self.end)
            start = self.end + BLOCK
            if kind == b"L" or kind in _PAX:
                self._extend(known, kind, start, length)
            elif kind not in _PASSED:
                name = known.name or _name(header)
                if known.sparse or kind == b"S":
                    raise self._sparse(name)
                length = length if known.size is None else known.size
                if kind in _BARE or (kind == b"\0" and name.endswith("/")):  # the oldest tars know no directories
                    kind, length = b"", 0
                self.end, known = start + _padded(length), _Known()
                if kind in _REGULAR:
                    yield Member(name, start, length)
                continue
            self.end = start + _padded(length)

    def _finish(self, header: bytes) -> None:
        if header:
            again = self._read(self.end + BLOCK, BLOCK)
            self.marked = len(again) == BLOCK == again.count(0)
            self.end += BLOCK + len(again) * self.marked

    def _extend(self, known: _Known, kind: bytes, start: int, length: int) -> None:
        """Take note of what a header says of the member behind it."""
        long = kind == b"L"
        if length > (_LONGEST_NAME if long else _LONGEST_PAX):
            raise self._too_long(start, length)
        data = self._read(start, length)
        if len(data) < length:
            raise DamagedShardError(
                f"shard {self._shard} is cut short: it ends inside a name, at byte {start + len(data)}"
            )
        if long:
            known.name = _text(data)
        else:
            _pax(data, known)
        if len(known.name or "") > _LONGEST_NAME:
            raise self._too_long(start, len(known.name or ""))

    def _too_long(self, start: int, length: int) -> DamagedShardError:
        return DamagedShardError(
            f"shard {self._shard} has a name or an extended header of {length} bytes at byte {start}"
        )

    def _sparse(self, name: str) -> DamagedShardError:
        return DamagedShardError(
            f"shard {self._shard} has the sparse file {name!r} at byte {self.end}, which is not read; pack the shard again "
            "without tar's --sparse"
        )


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


def _pax(records: bytes, known: _Known) -> None:
    """Take path, size and sparseness from ``LENGTH KEY=VALUE`` records; others, and what is damaged, are passed over."""
    position = 0
    while position < len(records):
        space = records.find(b" ", position, position + _DIGITS + 1)
        length = _counted(records[position:space]) if space > 0 else None
        if length is None or not 0 < length <= len(records) - position:
            break
        key, _, value = records[space + 1 : position + length].rstrip(b"\n").partition(b"=")
        if key in (b"path", _SPARSE + b"name"):
            known.name = _text(value)
        elif key == b"size":
            number = _counted(value)
            known.size = number if number is not None and number < _LARGEST else known.size
        known.sparse = known.sparse or key.startswith(_SPARSE)
        position += length


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
