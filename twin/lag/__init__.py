"""Consumer lag: sampling, status, metrics."""
