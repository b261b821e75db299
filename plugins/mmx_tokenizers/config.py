"""Options of the tokenizer ``huggingface``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field
from typing_extensions import override

from mmx.config import PartConfig

FILE: Final = "tokenizer.json"


class FileTokenizerConfig(PartConfig):
    """Options of the tokenizer ``huggingface``. Needs the package ``tokenizers``: ``pip install 'mmx[tokenizers]'``.

    Which ids start and end a text is taken from the file, if it says so, or from the usual names of such pieces.
    """

    file: Annotated[str, Field(min_length=1, examples=["bert-base-uncased/tokenizer.json"])]
    """The file tokenizer.json, or a folder that has it. A copy is kept with the run and with the model."""
    context: Annotated[int, Field(ge=3)] = 77
    """Positions of every row; a longer text is cut, with its end kept."""
    start: str | None = None
    """The piece that starts a text, such as "[CLS]"."""
    end: str | None = None
    """The piece that ends a text, such as "[SEP]"."""
    pad: str | None = None
    """The piece that fills up rows, such as "[PAD]"; the end where the file has none."""
    mask: str | None = None
    """The piece that stands for a hidden word, such as "[MASK]"; it may have none."""

    @override
    def needed_files(self) -> Mapping[str, str]:
        return {FILE: os.path.join(self.file, FILE) if os.path.isdir(self.file) else self.file}

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Write a tokenizer of single letters, and return options that read it."""
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(chr, range(ord(" "), ord("~")))]
        vocabulary = {piece: id for id, piece in enumerate(pieces)}
        special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        file = folder / FILE
        described = {
            "version": "1.0",
            "added_tokens": [{"id": id, "content": pieces[id], **special} for id in range(5)],
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "decoder": {"type": "Fuse"},
            "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": vocabulary, "merges": []},
        }
        file.write_text(json.dumps(described), encoding="utf-8")
        return cls(name=name, file=str(file), context=16)
