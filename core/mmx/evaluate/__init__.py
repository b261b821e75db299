"""Evaluators run, and what they found kept and shown."""
