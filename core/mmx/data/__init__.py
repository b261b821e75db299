"""From samples to batches: order, views, workers, and what is skipped."""
