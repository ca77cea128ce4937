"""Scenario files and the runner that carries them out."""
