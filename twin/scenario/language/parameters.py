"""Parameters: `"${name}"` in a scenario file, and `--var name=value` on the command line."""

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import PurePath

from twin.errors import InputError, Problem, UsageError
from twin.spec.yaml import Document, Node, Plain, scalar

__all__ = ["Scalar", "parse_vars", "put_in"]

Scalar = bool | int | float | str
PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")


def parse_vars(pairs: list[str]) -> dict[str, Scalar]:
    """Read `name=value` pairs; values are YAML scalars."""
    values: dict[str, Scalar] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        value = scalar(text)
        if not name or not equals or value is None:
            raise UsageError(f"--var {pair!r}: write name=value, as in --var bots=100")
        values[name] = value
    return values


def put_in(document: Document, given: Mapping[str, Scalar]) -> Document:
    """Return the document with its parameters put in, those in `given` before its own.

    A value that is exactly one placeholder takes the parameter's type; inside a longer
    text the parameter is written out. Unknown names are problems with their position.
    """
    values = {**_declared(document), **given}
    if unknown := sorted(set(given) - set(_declared(document))):
        known = ", ".join(_declared(document)) or "none"
        name = PurePath(document.file).name
        raise UsageError(f"--var {unknown[0]}: {name} declares no such parameter (it has: {known})")
    problems: list[Problem] = []
    root = _node(document, document.root, values, given, problems)
    if problems:
        raise InputError(problems)
    parameters = root.children.get("parameters")
    if parameters is not None and isinstance(parameters.value, dict):
        parameters.value.update(given)
    return replace(document, root=root)


def _declared(document: Document) -> dict[str, Scalar]:
    value = document.value
    declared = value.get("parameters") if isinstance(value, dict) else None
    if not isinstance(declared, dict):
        return {}
    return {k: v for k, v in declared.items() if isinstance(v, bool | int | float | str)}


def _node(
    document: Document,
    node: Node,
    values: Mapping[str, Scalar],
    given: Mapping[str, Scalar],
    problems: list[Problem],
) -> Node:
    if node.children:
        children = {
            key: _node(document, child, values, given, problems)
            for key, child in node.children.items()
        }
        inner: Plain = (
            {str(key): child.value for key, child in children.items()}
            if isinstance(node.value, dict)
            else [child.value for child in children.values()]
        )
        return replace(node, value=inner, children=children)
    if isinstance(node.value, str) and "${" in node.value:
        try:
            origin = _origin(node.value, given)
            return replace(node, value=_text(node.value, values), origin=origin)
        except LookupError as error:
            file = node.file or document.file
            problems.append(Problem(file, node.line, node.column, error.args[0]))
    return node


def _origin(text: str, given: Mapping[str, Scalar]) -> str:
    """Say which parameters of a value are the command line's."""
    names = dict.fromkeys(PLACEHOLDER.findall(text))
    return ", ".join(f"by --var {name}={given[name]}" for name in names if name in given)


def _text(text: str, values: Mapping[str, Scalar]) -> Scalar:
    whole = PLACEHOLDER.fullmatch(text)
    if whole:
        return _value(whole[1], values)
    return PLACEHOLDER.sub(lambda match: str(_value(match[1], values)), text)


def _value(name: str, values: Mapping[str, Scalar]) -> Scalar:
    if name in values:
        return values[name]
    near = get_close_matches(name, values, 1)
    known = ", ".join(values) or "none"
    hint = f", did you mean ${{{near[0]}}}?" if near else f" (it has: {known})"
    raise LookupError(f"parameter ${{{name}}} is not declared{hint}")
