"""Checks of a whole deployment, in seconds."""
