"""Throw-away parts, each a small example of how a published system fits the contract."""
