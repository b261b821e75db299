"""Tar shards: their members, their index, and whether they are whole."""
