"""Bytes at any path or URL: which URLs are allowed, reading, retrying, and what is kept on this machine."""
