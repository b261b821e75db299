"""A trained model: its folder, loaded and used."""
