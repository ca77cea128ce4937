"""The highest load that a scenario still passes, and what breaks first beyond it."""
