"""MODEL: finding, reading and starting from a model, of whatever format its folder is."""
