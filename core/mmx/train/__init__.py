"""Training: from a checked recipe to the last step."""
