"""What a run leaves behind: streams, messages and rows as they were, and where it ran."""
