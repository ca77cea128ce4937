"""The fleet's life on the bus: time passes, events go out, commands come in."""
