"""Write docs/plugins/reference from the code: ``python tests/docs/make_reference.py --write``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from pages import checks, contracts, parts

FOLDER: Final = Path(__file__).parents[2] / "docs" / "plugins" / "reference"
COMMAND: Final = "python tests/docs/make_reference.py --write"
NOTE: Final = f"<!-- Made from the code by `{COMMAND}`; changes here are lost. -->\n\n"


def made() -> dict[str, str]:
    """Return the text of each page, by its file's name."""
    pages = {
        "hooks.md": contracts.hooks_page(),
        "kinds.md": contracts.kinds_page(),
        "values.md": contracts.values_page(),
        "parts.md": parts.page(),
        "checks.md": checks.page(),
    }
    return {name: NOTE + text for name, text in pages.items()}


def stale() -> list[str]:
    """Return the pages whose file is not what the code says."""
    return [name for name, text in made().items() if not _same(FOLDER / name, text)]


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main() -> int:
    """Write the pages, or say which are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the pages")
    if parser.parse_args().write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in made().items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    for name in stale():
        print(f"docs/plugins/reference/{name} is not what the code says: {COMMAND}")
    return bool(stale())


if __name__ == "__main__":
    sys.exit(main())
