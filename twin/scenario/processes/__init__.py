"""The processes of a run, and how each reaches the broker."""
