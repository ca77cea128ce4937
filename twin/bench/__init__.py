"""Load benchmarks that run the alternatives side by side, and the soak."""
