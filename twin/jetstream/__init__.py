"""The broker side; the only room that imports nats."""
