"""Options of the datasets whose samples are rows: ``table`` and ``huggingface``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator
from typing_extensions import override

from mmx.config import StoredConfig
from mmx.errors import DataError
from mmx_storage.files import Files
from mmx_storage.urls import expand_all, scheme_of, shown

Format = Literal["csv", "tsv", "jsonl", "parquet"]
_SAVED: Final = ("dataset_info.json", "state.json", "dataset_dict.json")


class RowsConfig(StoredConfig):
    """Options of datasets whose samples are rows with columns."""

    image: Annotated[str, Field(min_length=1)] | None = None
    """Column of pictures. If not given, the one that is named image, filepath, path, file, url or the like."""
    caption: Annotated[str, Field(min_length=1)] | None = None
    """Column of captions, texts or lists of texts. If not given, the one that is named caption, text, title or the like."""
    more_images: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Columns of further pictures of a sample, in their order: frames, or the second of a pair. The image views' ``picture``
    chooses one."""
    roles: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Columns of captions that have a role, as ``{ question = "question", answer = "answers" }``. The text views' ``role``
    chooses one. Where these are given, captions without a role are read only if ``caption`` names their column."""
    facts: dict[str, Literal["int", "float", "vector"]] = Field(default_factory=dict)
    """Columns that losses and evaluators read, and what they hold, as ``{ label = "int", similarity = "float" }``."""
    key: Annotated[str, Field(min_length=1)] | None = None
    """Column of keys, which name samples; each row has one of its own. The number of the row if not given."""
    dead_links: Literal["stop", "skip"] = "stop"
    """What a picture is whose URL refuses or does not answer: an outage that stops the run, or a bad sample, as in lists of
    links that were gathered long ago. One that is not there (404) is a bad sample either way."""


class TableConfig(RowsConfig):
    """Options of the dataset ``table``: csv, tsv, jsonl or parquet files, one row a sample.

    A picture is a path, a URL, or in jsonl and parquet the bytes of its file. The other columns can be filtered on.
    """

    urls: Annotated[tuple[str, ...], Field(strict=False, min_length=1, examples=[["data/pairs.tsv"]])]
    """Paths or URLs of the tables. Braces stand for several: ``part-{000..127}.parquet``."""
    format: Format | None = None
    """What the tables are: "csv", "tsv", "jsonl" or "parquet". Their extensions say it if not given."""
    root: Annotated[str, Field(min_length=1)] | None = None
    """Folder or URL that paths of pictures are relative to and must not leave; each table's own folder if not given."""
    separator: Annotated[str, StringConstraints(pattern=r"^[\t !#-~]$")] | None = None
    """What is between the columns of csv and tsv; a comma or a tab, by the extension, if not given."""
    quotes: bool = True
    """Whether columns of csv and tsv may be in double quotes, with separators and line breaks inside them."""

    @field_validator("urls")
    @classmethod
    def _can_be_expanded(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        expand_all(urls)
        return urls

    @field_validator("root")
    @classmethod
    def _can_be_read(cls, root: str | None) -> str | None:
        if root is not None and expand_all([root]) != [root]:
            raise ValueError("is one folder; braces are not read here")
        return root

    @model_validator(mode="after")
    def _formats_are_known(self) -> Self:
        for url in expand_all(self.urls):
            self.format_of(url)
        return self

    def format_of(self, url: str) -> Format:
        """Return what a table is, as given or by its extension.

        Raises:
            ValueError: its extension does not say.
        """
        found = self.format or _format(url)
        if found is None:
            raise ValueError(
                f"'{shown(url)}': the extension says not what it is; set format to csv, tsv, jsonl or parquet "
                "(compressed tables must be unpacked first)"
            )
        return found

    @override
    @classmethod
    def at(cls, name: str, path: str) -> Self | None:
        """Recognise a table by its extension."""
        return cls(name=name, urls=(path,)) if _format(path) else None

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Write a small table with one picture that cannot be decoded, and return options that read it."""
        from mmx_pairs.example import write_table

        return cls(name=name, urls=(str(write_table(folder)),))

    @override
    def absent(self) -> str:
        """Say that the first table of this machine cannot be opened, or what is not installed to read it."""
        urls = expand_all(self.urls)
        if any(self.format_of(url) == "parquet" for url in urls) and find_spec("pyarrow") is None:
            return missing("pyarrow", "parquet")
        try:
            if scheme_of(urls[0]) == "file":
                Files(urls[:1], self.remote).check(0)
        except DataError as error:
            return f"table {error}"
        return ""


class HuggingFaceConfig(RowsConfig):
    """Options of the dataset ``huggingface``: a column of pictures, not decoded, and one of captions.

    Code that comes with a dataset is never run.
    """

    path: Annotated[str, Field(min_length=1, examples=["nlphuji/flickr30k"])]
    """Name on the hub, or a local folder: one that ``save_to_disk`` wrote, or that has tables or pictures."""
    subset: str | None = None
    """Which of its configurations, if it has several."""
    split: Annotated[str, Field(min_length=1)] = "train"
    """Which split, or part of one, such as "train[:1000]"; a folder saved without splits has none to choose from."""
    revision: str | None = None
    """Branch, tag or commit on the hub; name a commit for data that stays the same."""

    @field_validator("path")
    @classmethod
    def _is_no_url(cls, path: str) -> str:
        if ":" in path:
            raise ValueError(
                "is a name on the hub, such as nlphuji/flickr30k, or a local folder; URLs are not read here"
            )
        return path

    @override
    @classmethod
    def at(cls, name: str, path: str) -> Self | None:
        """Recognise a local folder that ``save_to_disk`` wrote."""
        return cls(name=name, path=path) if any((Path(path) / file).is_file() for file in _SAVED) else None

    @override
    @classmethod
    def example(cls, name: str, folder: Path) -> Self:
        """Save a small dataset with one picture that cannot be decoded, and return options that read it."""
        from mmx_pairs.example import save_dataset

        save_dataset(folder / "saved")
        return cls(name=name, path=str(folder / "saved"))

    @override
    def absent(self) -> str:
        """Say what is not installed; whether the dataset is there is known when it is loaded."""
        return missing("datasets", "hf") if find_spec("datasets") is None else ""


def missing(package: str, extra: str) -> str:
    """Say that a package is not installed, with the command that installs it."""
    return f"the package {package} is not installed; install it with: pip install 'mmx[{extra}]'"


def _format(url: str) -> Format | None:
    extension = PurePosixPath(shown(url)).suffix[1:].lower()
    return extension if extension in ("csv", "tsv", "jsonl", "parquet") else None
