"""From captions as they are stored to texts. Shared with dataset plugins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from mmx.parts.dataset import BadSampleError

LARGEST: Final = 2**20
"""Bytes of the largest caption, or of the JSON that holds it."""
_NAMES: Final = 10
"""Fields that are named, at most."""
_NAME: Final = 40
"""Characters of a field's name that is."""
_HALF: Final = re.compile("[\ud800-\udfff]")


def texts_from(data: bytes, key: str, caption_option: str) -> tuple[str, ...]:
    """Return the texts of a stored caption, without blanks around them; empty ones are left out.

    Args:
        data: the file that holds it.
        key: names the sample in errors.
        caption_option: the extension of captions, such as "txt"; with a field behind a colon, such as "json:caption",
            the file is a JSON object, and the field is a text or a list of texts.

    Raises:
        BadSampleError: there is no text, or it cannot be read; the message names ``key``.
    """
    text = text_from(data, key)
    _, is_json, field = caption_option.partition(":")
    if not is_json:
        return kept([text], key)
    fields = object_from(text, key)
    if field not in fields:
        raise BadSampleError(f"{key}: the JSON has no field '{field}'{_others(fields)}")
    return texts_of(fields[field], key, field)


def _others(fields: Mapping[str, object]) -> str:
    """Say which fields there are; their names come from anywhere."""
    names = sorted(name for name in fields if name.isprintable() and len(name) <= _NAME)
    more = ", ..." if len(names) > _NAMES else ""
    return f" (there are: {', '.join(names[:_NAMES])}{more})" if names else ""


def text_from(data: bytes, key: str) -> str:
    """Return the text of a file in UTF-8, with or without a mark at its start.

    Raises:
        BadSampleError: it is too large, has NUL bytes, or is not UTF-8; the message names ``key``.
    """
    if len(data) > LARGEST:
        raise BadSampleError(f"{key}: the caption has {len(data)} bytes, more than {LARGEST}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSampleError(f"{key}: the caption is not UTF-8 (byte {error.start})") from None
    nul = data.find(0)
    if nul >= 0:
        raise BadSampleError(f"{key}: the caption has a NUL byte (byte {nul}); it may be UTF-16")
    return text


def object_from(text: str, key: str) -> dict[str, Any]:
    """Return the fields of a JSON object.

    Raises:
        BadSampleError: it is not JSON, or no object; the message names ``key``.
    """
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSampleError(f"{key}: the caption is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadSampleError(f"{key}: the JSON is no object with fields")
    return cast(dict[str, Any], value)


def texts_of(value: object, key: str, field: str) -> tuple[str, ...]:
    """Return the texts of a field: it is a text, or a list of texts.

    Raises:
        BadSampleError: it is something else, too long, or there is no text in it; the message names ``key``.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in cast(list[Any], texts)):
        raise BadSampleError(f"{key}: the field '{field}' is neither a text nor a list of texts")
    return kept(cast(list[str], texts), key)


def kept(texts: Iterable[str], key: str) -> tuple[str, ...]:
    """Return the texts that are not empty, without blanks around them.

    Raises:
        BadSampleError: none is left, or one is too long or has characters that no text has; the message names ``key``.
    """
    found = tuple(stripped for text in texts if (stripped := text.strip()))
    if not found:
        raise BadSampleError(f"{key}: the caption is empty")
    for text in found:
        if 4 * len(text) > LARGEST and (size := len(text.encode("utf-8", "surrogatepass"))) > LARGEST:
            raise BadSampleError(f"{key}: the caption has {size} bytes, more than {LARGEST}")
        if "\0" in text:
            raise BadSampleError(f"{key}: the caption has a NUL character")
        if not text.isascii() and _HALF.search(text):
            raise BadSampleError(f"{key}: the caption has half a character (a lone surrogate)")
    return found
