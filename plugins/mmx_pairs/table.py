"""The dataset ``table``."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import final

from typing_extensions import override

from mmx_pairs.config_rows import TableConfig
from mmx_pairs.delimited import Delimited
from mmx_pairs.jsonl import JsonLines
from mmx_pairs.parquet import Parquet
from mmx_pairs.pictures import Pictures
from mmx_pairs.rows import Rows
from mmx_pairs.samples import RowsDataset
from mmx_pairs.source import Source
from mmx_storage.files import Files
from mmx_storage.urls import expand_all, shown


@final
class Table(RowsDataset):
    """Rows of csv, tsv, jsonl or parquet tables, read by offset; what is held of each row is a few bytes."""

    def __init__(self, config: TableConfig) -> None:
        super().__init__(config)
        self.config = config

    @cached_property
    @override
    def parts(self) -> Sequence[tuple[str, Rows, Pictures]]:
        urls = expand_all(self.config.urls)
        roots = [self.config.root or _folder(url) for url in urls]
        pictures = {
            root: Pictures(root, self.config.remote, skip=self.config.dead_links == "skip")
            for root in dict.fromkeys(roots)
        }
        starts, files = _starts(urls), Files(urls, self.config.remote)
        return [
            (starts[url], _rows(Source(files, number), self.config, url), pictures[root])
            for number, (url, root) in enumerate(zip(urls, roots, strict=True))
        ]


def _rows(source: Source, config: TableConfig, url: str) -> Rows:
    format = config.format_of(url)
    if format == "parquet":
        return Parquet(source)
    if format == "jsonl":
        return JsonLines(source)
    return Delimited(source, config.separator or {"csv": ",", "tsv": "\t"}[format], config.quotes)


def _folder(url: str) -> str:
    """Return the folder that a table is in."""
    return posixpath.dirname(url.partition("?")[0] if "://" in url else url) or "."


def _starts(urls: Sequence[str]) -> dict[str, str]:
    """Return what keys of each table's rows begin with: its file name without extension, or its URL where those repeat."""
    if len(urls) == 1:
        return {urls[0]: ""}
    stems = {url: PurePosixPath(shown(url)).stem for url in urls}
    names = stems if len(set(stems.values())) == len(urls) else {url: shown(url) for url in urls}
    return {url: f"{name}/" for url, name in names.items()}
