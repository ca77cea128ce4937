"""What works against a server, and which permissions are missing."""
