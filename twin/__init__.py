"""A digital-twin test harness for bot platforms on NATS JetStream."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("twin")
