"""Packages that only some URLs need, and that are not installed."""

import sys

import pytest

from mmx.config import RemoteTable
from mmx.errors import MissingPackageError
from mmx_storage.files import Files


def test_the_web_needs_a_package_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "mmx_storage.http", raising=False)
    monkeypatch.setattr("mmx_storage.background._HERE.background", None)  # no store of another test's
    with pytest.raises(MissingPackageError, match=r"pip install 'mmx\[http\]'"):
        Files(["http://127.0.0.1:9/a"], RemoteTable(cache_gb=0)).read(0, 0, 1)
