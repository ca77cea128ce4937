"""From recorded facts to a verdict: pure functions over files, nothing live."""
