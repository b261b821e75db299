"""The contracts of every kind of part, and the values that pass between them."""
