"""Shared pieces of scenarios: `include` puts other files under a scenario's own keys.

Mappings are merged, the scenario's own values before those of its pieces, a later piece before
an earlier one; lists are joined, pieces first. Every value remembers its own file.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from twin.errors import InputError
from twin.spec.yaml import Document, Node, Plain, read_document

__all__ = ["with_included"]

KEY = "include"


def with_included(document: Document, folder: Path, root: Path) -> Document:
    """Return the document with its pieces put in; they lie below `root`, relative to `folder`.

    Raises InputError with the place of a piece that is not there, or lies elsewhere.
    """
    listed = document.root.children.get(KEY)
    if listed is None or not isinstance(listed.value, list):
        return document
    merged = Node({}, document.root.line, document.root.column)
    for index, name in enumerate(listed.value):
        if not isinstance(name, str):
            return document
        merged = _merge(merged, _piece(document, index, name, folder, root))
    own = {key: node for key, node in document.root.children.items() if key != KEY}
    return replace(document, root=_merge(merged, _mapping(document.root, own, document.root.keys)))


def _piece(document: Document, index: int, name: str, folder: Path, root: Path) -> Node:
    path = (folder / name).resolve()
    if not path.is_relative_to(root.resolve()):
        text = f"{name!r} lies outside the project folder {root}"
        raise InputError([document.problem((KEY, index), text)])
    if not path.is_file():
        raise InputError([document.problem((KEY, index), f"there is no file {name!r}")])
    piece = read_document(path, name=str(Path(document.file).parent / name))
    if not isinstance(piece.value, dict):
        raise InputError([piece.problem((), "a piece of a scenario is a mapping")])
    if KEY in piece.root.children:
        text = "a piece includes nothing itself"
        raise InputError([piece.problem((KEY,), text, key=True)])
    return _of_file(piece.root, piece.file)


def _of_file(node: Node, file: str) -> Node:
    children = {key: _of_file(child, file) for key, child in node.children.items()}
    return replace(node, file=file, children=children)


def _merge(under: Node, over: Node) -> Node:
    if isinstance(under.value, dict) and isinstance(over.value, dict):
        children = dict(under.children)
        for key, child in over.children.items():
            children[key] = _merge(children[key], child) if key in children else child
        return _mapping(over, children, {**under.keys, **over.keys})
    if isinstance(under.value, list) and isinstance(over.value, list):
        items = [*under.children.values(), *over.children.values()]
        return replace(over, value=[item.value for item in items], children=dict(enumerate(items)))
    return over


def _mapping(
    like: Node, children: Mapping[str | int, Node], keys: Mapping[str, tuple[int, int]]
) -> Node:
    value: dict[str, Plain] = {str(key): child.value for key, child in children.items()}
    return replace(like, value=value, children=children, keys=keys)
