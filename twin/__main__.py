"""`python -m twin` is the command `twin`."""

from twin.cli.main import run

run()
