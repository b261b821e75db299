"""What was written, and what was not, in lines of at most 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmx.wording import counted, percent, printable
from mmx_data.packed import Packed
from mmx_data.text import bad_lines, left_out_row, rows, size, wrapped


def packed_lines(found: Packed, index: Path) -> Iterator[str]:
    """Write what was written, and what was not."""
    bytes, bad = sum(shard.bytes for shard in found.shards), found.bad
    pairs = [*left_out_row(found.left_out), ("read", f"{found.written + len(bad):,} samples")]
    pairs.append(("written", f"{found.written:,}"))
    pairs.append(("skipped", f"{len(bad):,}" + (f", listed in {found.folder / 'skipped.jsonl'}" if bad else "")))
    pairs.append(("shards", f"{len(found.shards):,}, {size(bytes)}"))
    pairs.append(("index", str(index)))
    if found.before:
        pairs.append(("done before", counted(found.before, "shard")))
    if len(found.parts) > 1:
        for pattern, shards in found.parts.items():
            count = sum(shard.written for shard in shards)
            share = percent(count / max(1, found.written))
            pairs.append(
                (
                    pattern.removesuffix("-{}.tar"),
                    f"{counted(count, 'sample')} ({share}), {counted(len(shards), 'shard')}",
                )
            )
    yield from rows(pairs)
    if bad:
        yield "\nskipped"
        yield from bad_lines(bad)
    if found.keys.changed:
        examples = ", ".join(f"'{before}' is '{after}'" for before, after in found.keys.examples)
        yield ""
        what = f"{counted(found.keys.changed, 'key')} changed, to be safe and unique in tars: {examples}"
        yield from wrapped(printable(what), "", "  ")
