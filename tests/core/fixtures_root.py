import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # throw-away parts, shared by the tests below this folder

import throwaway
from mmx.plugin.registry import Registries
from mmx.recipe import Recipe, load
from mmx_kit.ranks import Ranks
from throwaway import Load, Write


@pytest.fixture(scope="session")
def pair() -> Iterator[Ranks]:
    both = Ranks(strict=True)
    yield both
    both.stop()


@pytest.fixture
def registries() -> Registries:
    return throwaway.registries()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a recipe into an empty current folder: the throw-away one with texts replaced, or a whole text."""
    monkeypatch.chdir(tmp_path)

    def write(name: str = "r.toml", *changes: tuple[str, str], text: str = throwaway.RECIPE) -> Path:
        for old, new in changes:
            assert old in text, f"{old!r} is not in the recipe"
            text = text.replace(old, new, 1)
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def read(registries: Registries) -> Load:
    def read(path: Path | str | None, *sets: str, unset: tuple[str, ...] = ()) -> Recipe:
        return load(path, sets, unset, registries)

    return read
