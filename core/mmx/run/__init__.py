"""One run: its folder, its loop, its checkpoints, and what it tells the world."""
