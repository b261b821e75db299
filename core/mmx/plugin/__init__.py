"""Plugins: kinds of parts, registries, entry points and hooks."""
