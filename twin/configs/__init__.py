"""Files that are generated from a BotSpec."""
