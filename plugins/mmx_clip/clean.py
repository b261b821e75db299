"""How CLIP cleans a text and cuts it into words."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from typing import Final

LONGEST: Final = 65_536
"""Characters of a text that are read; a longer one is cut first, so that cleaning it takes bounded time."""

# Printable ASCII without "&" passes through ftfy and html.unescape unchanged.
_PLAIN: Final = re.compile(r"[\t\n\r\x20-\x25\x27-\x7e]*")
_ENDINGS: Final = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d"
_PLAIN_WORDS: Final = re.compile(_ENDINGS + r"|[a-z]+|[0-9]|[^\sa-z0-9]+")


def words(text: str) -> list[str]:
    """Clean a text (mojibake, HTML entities, white space, case) and cut it into words, digits and signs."""
    text = text[:LONGEST]
    if _PLAIN.fullmatch(text):
        return _PLAIN_WORDS.findall(text.lower())
    return _any_words(text)


def _any_words(text: str) -> list[str]:
    import ftfy  # not needed for plain text

    fixed = html.unescape(html.unescape(ftfy.fix_text(text)))
    return _unicode_words()(" ".join(fixed.split()).lower())


@cache
def _unicode_words() -> Callable[[str], list[str]]:
    import regex

    return regex.compile(_ENDINGS + r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE).findall
