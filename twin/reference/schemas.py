"""The page of files that users write: every key with its type, default and meaning."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from twin.reference.markdown import code, first_line, table
from twin.scenario.language.model import Scenario
from twin.scenario.language.values import NS_PER_S
from twin.spec.bot import BotSpec

__all__ = ["fault_models", "schemas_page"]

Node: TypeAlias = dict[str, Any]
"""A node of a JSON Schema, as pydantic gives it."""

HEAD = """# Keys of scenario and spec files

Every key of the files that you write, as `twin spec schema` gives them to an editor. Guides:
[scenario files](../scenarios.md), [your own service](../your-own-service.md). Faults have a
page of [their own](faults.md). `twin spec defaults` prints a whole spec with its comments.

Required keys have no default. A duration is a number with `ms`, `s`, `m` or `h`, as `1.5s`.
"""
DURATION_NS_OVER = 1_000_000
"""A whole number above this where text is asked for is a default duration in nanoseconds."""


def schemas_page() -> str:
    """Return the page: the scenario and what it is made of, then the BotSpec."""
    return HEAD + "".join(
        f"\n{section}"
        for title, model in (("Scenario", Scenario), ("BotSpec", BotSpec))
        for section in _sections(title, _with_enums(model.model_json_schema()))
    )


def fault_models() -> dict[str, Node]:
    """Return the schema of each fault by the name that a scenario gives it, sorted."""
    models = _with_enums(Scenario.model_json_schema())["$defs"].values()
    return dict(sorted((name, model) for model in models if (name := fault_name(model))))


def fault_name(model: Node) -> str:
    """Return the name of the fault that a model describes, "" when it describes none."""
    return str(model.get("properties", {}).get("fault", {}).get("const", ""))


def key_rows(model: Node, *, without: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and meaning of each key of a model."""
    required = model.get("required", ())
    for key, node in model.get("properties", {}).items():
        if key not in without:
            default = "" if key in required else _default(node)
            yield code(key), _type(node), default, first_line(node.get("description"))


def _with_enums(schema: Node) -> Node:
    """Return a schema in which references to plain sets of words are those words."""
    enums = {
        f"#/$defs/{name}": {"enum": model["enum"]}
        for name, model in schema["$defs"].items()
        if "enum" in model
    }

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(item) for item in node]
        if not isinstance(node, dict):
            return node
        words = enums.get(str(node.get("$ref")), {})
        rest = {key: inlined(value) for key, value in node.items() if not (words and key == "$ref")}
        return {**rest, **words}

    return {key: inlined(value) for key, value in schema.items()}


def _sections(title: str, schema: Node) -> Iterator[str]:
    yield _section(f"## {title}", schema)
    for name, model in sorted(schema.get("$defs", {}).items()):
        if model.get("properties") and not fault_name(model):
            yield _section(f"### {title}: {name}", model)


def _section(heading: str, model: Node) -> str:
    told = first_line(model.get("description"))
    rows = table(["key", "type", "default", "means"], key_rows(model))
    return f"{heading}\n\n{told}{'.' * bool(told)}\n\n{rows}"


def _default(node: Node) -> str:
    value = node.get("default")
    if value is None or value in ([], {}, ""):
        return ""
    if isinstance(value, dict):
        return "its own"
    if isinstance(value, list):
        return code(str(value))
    if isinstance(value, bool):
        return code(str(value).lower())
    if node.get("type") == "string" and isinstance(value, int) and value > DURATION_NS_OVER:
        return code(f"{value / NS_PER_S:g}s")
    return code(f"{value:g}" if isinstance(value, float) else str(value))


def _type(node: Node) -> str:
    """Return a type in words: names of other sections, literals, or JSON's own types."""
    if "$ref" in node:
        return str(node["$ref"]).rpartition("/")[2]
    if "const" in node:
        return code(str(node["const"]))
    if "enum" in node:
        return ", ".join(code(str(one)) for one in node["enum"])
    if alternatives := node.get("anyOf") or node.get("oneOf"):
        return _either(alternatives)
    return _plain_type(node)


def _plain_type(node: Node) -> str:
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}" if "items" in node else "list"
    if node.get("type") == "object":
        inner = node.get("additionalProperties") or next(
            iter(node.get("patternProperties", {}).values()), None
        )
        return f"map of {_type(inner)}" if isinstance(inner, dict) else "map"
    return str(node.get("type", "anything")) + _bounds(node)


def _either(nodes: list[Node]) -> str:
    """Return alternatives; faults are one word, and null goes without saying."""
    models = [node for node in nodes if node.get("type") != "null"]
    names = dict.fromkeys(_type(node) for node in models)
    return "a [fault](faults.md)" if len(names) > 8 else " or ".join(names)


def _bounds(node: Node) -> str:
    signs = (
        ("minimum", ">= "),
        ("exclusiveMinimum", "> "),
        ("maximum", "<= "),
        ("exclusiveMaximum", "< "),
    )
    found = [f"{sign}{node[key]:g}" for key, sign in signs if key in node]
    return f" {', '.join(found)}" if found else ""
