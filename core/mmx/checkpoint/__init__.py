"""Checkpoints: whole or not there, verified, read and kept."""
