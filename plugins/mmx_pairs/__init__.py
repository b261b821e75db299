"""Pictures and captions where they are: files in folders, rows of tables, Hugging Face datasets."""

from __future__ import annotations

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_pairs.config_folder import FolderConfig
from mmx_pairs.config_rows import HuggingFaceConfig, TableConfig


@hookimpl
def mmx_register(register: Registrar) -> None:
    """Register the datasets."""
    register(
        "dataset",
        "folder",
        config=FolderConfig,
        part="mmx_pairs.folder:Folder",
        summary="picture files with captions beside them, in a folder and its subfolders, local or at any fsspec URL",
    )
    register(
        "dataset",
        "huggingface",
        config=HuggingFaceConfig,
        part="mmx_pairs.huggingface:HuggingFace",
        summary="a dataset of the Hugging Face hub, or one that was saved to a folder",
    )
    register(
        "dataset",
        "table",
        config=TableConfig,
        part="mmx_pairs.table:Table",
        summary="csv, tsv, jsonl or parquet tables with a column of pictures and one of captions",
    )
