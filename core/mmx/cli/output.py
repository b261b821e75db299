"""Printing documents."""

from __future__ import annotations

import json


def print_json(document: object) -> None:
    """Print the one JSON document that ``--json`` promises."""
    print(json.dumps(document, indent=2))
