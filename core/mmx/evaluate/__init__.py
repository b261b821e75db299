"""Evaluating models that are no run."""
