"""How CLIP cleans a text and cuts it into words."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from typing import Final

LONGEST: Final = 65_536
"""Characters of a text that are read; a longer one is cut first, so that cleaning it takes bounded time."""

# Printable ASCII passes through ftfy and html.unescape unchanged; "&" does where nothing stands behind it.
_PLAIN: Final = re.compile(r"[\t\n\r -%'-~]*+(?:&(?![^ ])[\t\n\r -%'-~]*+)*+")
_ENDINGS: Final = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d"
_ASCII_WORDS: Final = re.compile(_ENDINGS + r"|[a-z]+|[0-9]|[^\sa-z0-9]+")


def pieces(text: str) -> list[str]:
    """Clean a text (mojibake, HTML entities, white space, case) and cut it at white space."""
    text = text[:LONGEST]
    return (text if _PLAIN.fullmatch(text) else _mended(text)).lower().split()


def words(piece: str) -> list[str]:
    """Cut a piece without white space into words, digits and signs."""
    return _ASCII_WORDS.findall(piece) if piece.isascii() else _unicode_words()(piece)


def _mended(text: str) -> str:
    import ftfy  # not needed for plain text

    fixed = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(fixed.split())


@cache
def _unicode_words() -> Callable[[str], list[str]]:
    import regex

    return regex.compile(_ENDINGS + r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE).findall
