"""What a JSON Schema says about one place in the data: the keys it knows, the unit it wants."""

from collections.abc import Iterator, Mapping

from twin.spec.yaml import KeyPath, Plain

__all__ = ["known_keys", "unit_at"]

Schema = Mapping[str, Plain]


def known_keys(schema: Schema, path: KeyPath, value: Plain) -> list[str]:
    """Return the property names that the mapping at `path` of `value` may have."""
    names: dict[str, None] = {}
    for node in _nodes_at(schema, path, value):
        properties = node.get("properties")
        if isinstance(properties, dict):
            names.update(dict.fromkeys(properties))
    return list(names)


def unit_at(schema: Schema, path: KeyPath, value: Plain) -> str:
    """Return the unit symbol of the quantity at `path`, "" where there is none."""
    for node in _nodes_at(schema, path, value):
        unit = node.get("unit")
        if isinstance(unit, str) and unit != "1":
            return unit
    return ""


def _nodes_at(schema: Schema, path: KeyPath, value: Plain) -> list[Schema]:
    """Follow `path` through references and unions; a discriminator narrows its union."""
    nodes = list(_options(dict(schema), schema, value))
    for step in path:
        inner = _inner(value, step)
        nodes = [
            option
            for node in nodes
            for child in _children(node, step)
            for option in _options(child, schema, inner)
        ]
        value = inner
    return nodes


def _inner(value: Plain, step: str | int) -> Plain:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _options(node: Plain, root: Schema, value: Plain) -> Iterator[Schema]:
    if not isinstance(node, dict):
        return
    reference = node.get("$ref")
    if isinstance(reference, str):
        yield from _options(_resolve(reference, root), root, value)
    chosen = _discriminated(node, value)
    if chosen is not None:
        yield from _options({"$ref": chosen}, root, value)
        return
    for word in ("anyOf", "oneOf", "allOf"):
        members = node.get(word)
        for member in members if isinstance(members, list) else ():
            yield from _options(member, root, value)
    yield node


def _resolve(reference: str, root: Schema) -> Plain:
    node: Plain = dict(root)
    for part in reference.removeprefix("#/").split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _discriminated(node: Schema, value: Plain) -> str | None:
    rule = node.get("discriminator")
    if not isinstance(rule, dict) or not isinstance(value, dict):
        return None
    mapping, name = rule.get("mapping"), rule.get("propertyName")
    if not isinstance(mapping, dict) or not isinstance(name, str):
        return None
    reference = mapping.get(str(value.get(name)))
    return reference if isinstance(reference, str) else None


def _children(node: Schema, step: str | int) -> Iterator[Plain]:
    if isinstance(step, str):
        properties = node.get("properties")
        if isinstance(properties, dict) and step in properties:
            yield properties[step]
        else:
            yield node.get("additionalProperties")
            patterns = node.get("patternProperties")
            yield from patterns.values() if isinstance(patterns, dict) else ()
        return
    prefix = node.get("prefixItems")
    if isinstance(prefix, list) and step < len(prefix):
        yield prefix[step]
    else:
        yield node.get("items")
