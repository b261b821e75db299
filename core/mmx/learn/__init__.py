"""Models, losses and the step: the mathematics, free of files and processes."""
