"""The processes of a job: ranks, signals, and how each ends."""
