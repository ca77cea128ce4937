"""Carries out what the events of a scenario do, and writes down what they have hit."""
