"""From arrays to events that are ready to be sent: header block and JSON payload."""
