"""The bot's hardware as numpy planes, vectorised over a shard of the fleet."""
