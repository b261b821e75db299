"""Secrets in a command line, masked before it is written down."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

MASK: Final = "***"
_WORDS: Final = (
    *("token", "key", "apikey", "secret", "password", "passwd", "passphrase", "pwd", "credential", "credentials"),
    *("auth", "authorization", "bearer", "signature", "sig"),
)
_USER: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY: Final = re.compile(r"([?&;])([^=&;\s]+)=([^&;\s]*)")
_HEADER: Final = re.compile(r"(?i)\b(bearer|basic)\s+\S+")
_KNOWN: Final = re.compile(r"\b(?:hf_|sk-|ghp_|gho_|github_pat_|glpat-|xox[bp]-|AKIA|ASIA)[A-Za-z0-9_-]{8,}")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def mask(argv: Sequence[str]) -> list[str]:
    """Return a command line with the values of what is named like a secret, or looks like one, replaced."""
    masked: list[str] = []
    hide = False
    for argument in argv:
        masked.append(MASK if hide else _argument(argument))
        hide = not hide and argument.startswith("-") and "=" not in argument and _secret(argument)
    return masked


def masked(value: Any) -> Any:
    """Return a JSON value with the secrets in its strings replaced."""
    if isinstance(value, str):
        return mask([value])[0]
    if isinstance(value, Mapping):
        return {str(name): masked(item) for name, item in cast(Mapping[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in cast(list[object], value)]
    return value


def _argument(argument: str) -> str:
    name, equals, _ = argument.partition("=")
    if equals and "://" not in name and _secret(name):
        return f"{name}={MASK}"
    text = _USER.sub(MASK, argument)
    text = _QUERY.sub(lambda match: f"{match[1]}{match[2]}={MASK}" if _secret(match[2]) else match[0], text)
    text = _HEADER.sub(lambda match: f"{match[1]} {MASK}", text)
    return _KNOWN.sub(MASK, text)


def _secret(name: str) -> bool:
    words = re.split(r"[^A-Za-z0-9]+", _CAMEL.sub("_", name))
    return any(word.lower() in _WORDS for word in words)
