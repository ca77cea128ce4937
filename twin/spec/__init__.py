"""YAML to frozen models: what a user's bot is made of."""

from twin.spec.bot import BotSpec, EventBus, Metadata
from twin.spec.component import Component
from twin.spec.dump import dump_spec, fingerprint
from twin.spec.load import load_document, load_spec
from twin.spec.overrides import with_overrides
from twin.spec.parse import parse
from twin.spec.yaml import Document, read_document

__all__ = [
    "BotSpec",
    "Component",
    "Document",
    "EventBus",
    "Metadata",
    "dump_spec",
    "fingerprint",
    "load_document",
    "load_spec",
    "parse",
    "read_document",
    "with_overrides",
]
