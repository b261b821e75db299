"""Tokenizers that are read from files."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_tokenizers.config import FileTokenizerConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the tokenizer."""
    register(
        "tokenizer",
        "huggingface",
        config=FileTokenizerConfig,
        part="mmx_tokenizers.tokenizer:FileTokenizer",
        summary="what a tokenizer.json describes, as Hugging Face's library reads it: BERT's, RoBERTa's, GPT-2's and others",
    )
