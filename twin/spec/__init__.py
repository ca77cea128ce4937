"""YAML to frozen models: what a user's bot is made of."""
