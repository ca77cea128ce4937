"""What breaks around the bots."""
