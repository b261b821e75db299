"""``mmx doctor``: what this machine and installation can do. Torch is imported inside functions only."""
