"""Shard URLs: which are allowed, brace expansion, and how they are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final
from urllib.parse import SplitResult, urlsplit

from mmx.errors import DataError

MOST: Final = 100_000
"""Shards of one dataset."""
SCHEMES: Final = ("file", "memory", "http", "https", "s3", "gs", "az", "hf")
"""fsspec schemes that may be opened. Others can run programs or reach into other file systems."""
_SCHEME: Final = re.compile(r"([a-z0-9+.-]+):", re.IGNORECASE)
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_RANGE: Final = re.compile(r"(\d+)\.\.(\d+)")
_MOST_BRACES: Final = 100
"""Pairs of braces of one pattern. Seventeen that stand for two names each are too many shards."""
_HOST: Final = re.compile(r"[^\x00-\x20\x7f]+")
_LABEL: Final = 63
_HOSTLESS: Final = ("file", "memory")


def expand_all(patterns: Sequence[str]) -> list[str]:
    """Expand the braces of all patterns, in order.

    Raises:
        ValueError: a scheme is not allowed, braces cannot be understood, or there are more than 100,000 shards.
    """
    for pattern in patterns:
        _check_scheme(pattern)
    urls = list(islice((url for pattern in patterns for url in _expand(pattern)), MOST + 1))
    if len(urls) > MOST:
        raise ValueError(f"{', '.join(patterns)}: more than {MOST:,} shards")
    return urls


def shown(url: str) -> str:
    """Return a URL without user, password and query, for messages. Of one that is malformed, only what cannot hold any."""
    parts = _split(url)
    if parts is None:
        return f"{url.partition(':')[0]}://..." if any(mark in url for mark in "@?#") else url
    if not parts.scheme:
        return url
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_malformed(url: str) -> bool:
    """Say whether a URL cannot be asked for, whatever there is: its host or its port is none."""
    parts = _split(url)
    if parts is None:
        return True
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        return not host and parts.scheme not in _HOSTLESS
    labels = host.removesuffix(".").split(".")
    too_long = host.isascii() and any(not 0 < len(label) <= _LABEL for label in labels)
    return too_long or not _HOST.fullmatch(host) or not _has_port(parts)


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, "file" for a path.

    Raises:
        DataError: it is not one that may be opened. URLs of a list, unlike those of a recipe, are first seen here.
    """
    if "://" not in url:
        return "file"
    scheme = url.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise DataError(
            f"a URL with {scheme!r} cannot be read: expected a path, or a URL that starts with "
            f"{', '.join(f'{name}://' for name in SCHEMES)}"
        )
    return scheme


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None if it has brackets or characters where they must not be."""
    try:
        return urlsplit(url)
    except ValueError:  # its message may have the password in it
        return None


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _check_scheme(pattern: str) -> None:
    if "*" in pattern:
        raise ValueError(f"'{shown(pattern)}': '*' is not read; name shards with braces, as data/{{00000..00999}}.tar")
    found = _SCHEME.match(pattern)
    scheme = found[1].lower() if found else "file"
    if "::" in pattern or scheme not in SCHEMES or (found and not pattern[found.end() :].startswith("//")):
        raise ValueError(
            f"'{shown(pattern)}' cannot be read: expected a path, or a URL that starts with "
            f"{', '.join(f'{name}://' for name in SCHEMES)}"
        )
    parts = _split(pattern)
    if found and parts is None:
        raise ValueError(f"'{shown(pattern)}' is no URL: its host is malformed")
    if pattern.count("{") > _MOST_BRACES:
        raise ValueError(f"'{shown(pattern)}': more than {_MOST_BRACES} pairs of braces")
    if found and parts and ":" in parts.netloc.rpartition("@")[0]:
        raise ValueError(
            f"'{shown(pattern)}' has a password in it, which would be kept with each run; put it into the environment "
            "or a file of your own (~/.netrc for http, ~/.aws for s3)"
        )


def _expand(pattern: str) -> Iterator[str]:
    found = _BRACES.search(pattern)
    if found is None:
        if "{" in pattern or "}" in pattern:
            raise ValueError(f"'{shown(pattern)}': a brace without its partner")
        yield pattern
        return
    before, after = pattern[: found.start()], pattern[found.end() :]
    if "{" in before:
        raise ValueError(f"'{shown(pattern)}': braces within braces")
    for choice in _choices(found[1], pattern):
        yield from _expand(before + choice + after)


def _choices(inner: str, pattern: str) -> Iterator[str]:
    span = _RANGE.fullmatch(inner)
    if span is None and "," not in inner:
        raise ValueError(f"'{shown(pattern)}': braces hold a range such as {{000..127}} or a list such as {{a,b}}")
    if span is None:
        yield from inner.split(",")
        return
    first, last = int(span[1]), int(span[2])
    if last < first:
        raise ValueError(f"'{shown(pattern)}': the range {{{inner}}} goes backwards")
    padded = len(span[1]) if span[1].startswith("0") else 0
    for number in range(first, last + 1):
        yield str(number).zfill(padded)
