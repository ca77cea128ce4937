"""Spec files by path or `builtin:NAME`."""

from pathlib import Path

from twin.spec.bot import BotSpec
from twin.spec.builtin import Kind, resolve
from twin.spec.parse import parse
from twin.spec.payload.samples import inline_samples
from twin.spec.yaml import Document, read_document

__all__ = ["load_document", "load_spec"]


def load_document(reference: str | Path, kind: Kind = "specs") -> Document:
    """Read a YAML file, or the built-in of that kind; raises InputError or UsageError."""
    return read_document(resolve(kind, reference), name=str(reference))


def load_spec(reference: str | Path) -> BotSpec:
    """Read and validate a BotSpec; raises InputError with every Problem of the file.

    Sample files of custom channels are read with it: the spec then stands alone.
    """
    document = load_document(reference)
    spec = parse(BotSpec, document)
    return inline_samples(spec, document, resolve("specs", reference).parent)
