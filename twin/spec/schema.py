"""JSON Schemas of the files that users write, for the YAML language server."""

import json
from typing import Any

from pydantic import BaseModel

__all__ = ["DIALECT", "draft_7", "file_schema"]

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The dialect that the YAML language server reads best; nothing newer is used."""

_PLACEHOLDER = {"type": "string", "pattern": r"^\$\{[^{}]+\}$"}


def file_schema(model: type[BaseModel], title: str, *, placeholders: bool = False) -> str:
    """Return the schema of a file as JSON text.

    With `placeholders`, `"${name}"` may stand wherever a number or boolean may.
    """
    schema = model.model_json_schema()
    if placeholders:
        schema = _with_placeholders(schema)
    schema = {"$schema": DIALECT, **draft_7(schema), "title": title}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _with_placeholders(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_placeholders(item) for item in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _with_placeholders(value) for key, value in node.items()}
    if node.get("type") in ("integer", "number", "boolean"):
        return {"anyOf": [inner, _PLACEHOLDER]}
    return inner


def draft_7(node: Any) -> Any:
    """Drop the titles that pydantic makes of field names, and write tuples as draft 7 does."""
    if isinstance(node, list):
        return [draft_7(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        "items" if key == "prefixItems" else key: draft_7(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }
