import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Forget afterwards what was imported, and where from."""
    before = set(sys.modules)
    yield monkeypatch
    for name in set(sys.modules) - before:
        if name.split(".")[0].startswith(("mmx_my_", "my_")):
            del sys.modules[name]
