"""``mmx verify``: the same recipe on one process and on many gives the same losses, gradients and weights."""
