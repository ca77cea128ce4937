"""What a scenario file says: its models, how it is read, and what is refused."""
