"""The tokenizer ``huggingface``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from typing_extensions import override

from mmx.errors import MissingPackageError, RecipeError
from mmx.parts.batch import Words
from mmx.parts.tokenizer import Tokenizer
from mmx_tokenizers.config import FILE, FileTokenizerConfig
from mmx_tokenizers.special import special_of

_LONGEST: Final = 65_536
"""Characters of a text that are read."""


@final
class FileTokenizer(Tokenizer):
    """A tokenizer that ``tokenizer.json`` describes.

    Ids are those of the library ``tokenizers``, between start and end, for texts of up to 65,536 characters; longer ones
    are cut there first. Names of special pieces within a text, such as "[MASK]", are read as text.

    Raises:
        MissingPackageError: the package ``tokenizers`` is not installed.
        RecipeError: the file cannot be read, or does not say what starts and ends a text.
    """

    def __init__(self, config: FileTokenizerConfig) -> None:
        self.config = config
        self.context = config.context
        text = _text(config.needed_file(FILE))
        self._tokens = _parsed(text, config.file)
        ids: dict[str, int] = self._tokens.get_vocab(with_added_tokens=True)
        special = special_of(json.loads(text), ids, config)
        self.vocabulary = max(ids.values()) + 1
        self.start, self.end, self.pad, self.mask = special.start, special.end, special.pad, special.mask

    @override
    def encode(self, text: str) -> list[int]:
        return self._whole(self._tokens.encode(_readable(text), add_special_tokens=False).ids)

    @override
    def decode(self, ids: Sequence[int]) -> str:
        special = {self.start, self.end, self.pad, self.mask}
        return self._tokens.decode([id for id in ids if id not in special], skip_special_tokens=True).strip()

    @override
    def __call__(self, texts: Sequence[str]) -> Words:
        found = self._tokens.encode_batch([_readable(text) for text in texts], add_special_tokens=False)
        rows = [self._whole(one.ids) for one in found]
        ids = np.full((len(rows), self.context), self.pad, dtype=np.int64)
        for row, own in zip(ids, rows, strict=True):
            row[: len(own)] = own
        mask = np.arange(self.context) < np.array([len(row) for row in rows], dtype=np.int64)[:, None]
        return Words(torch.as_tensor(ids), torch.as_tensor(mask))

    def _whole(self, ids: Sequence[int]) -> list[int]:
        return [self.start, *ids[: self.context - 2], self.end]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RecipeError(f"the tokenizer's file {path} cannot be read: {why}") from None


def _parsed(text: str, file: str) -> Any:
    try:
        from tokenizers import Tokenizer as Library
    except ImportError:
        raise MissingPackageError(
            "the package tokenizers is not installed; install it with: pip install 'mmx[tokenizers]'"
        ) from None
    try:
        found: Any = Library.from_str(text)
    except Exception as error:  # the library raises its errors as plain exceptions
        raise RecipeError(f"{file} is no tokenizer.json that the package tokenizers reads: {error}") from None
    found.no_padding()
    found.no_truncation()
    found.encode_special_tokens = True
    return found


def _readable(text: str) -> str:
    """Return a text that can be written as UTF-8, of bounded length."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()
