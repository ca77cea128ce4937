"""A spec written out again: every value that holds, defaults included."""

import hashlib
import json
from typing import cast

import yaml

from twin.spec.bot import BotSpec
from twin.spec.yaml import Plain, scalar

__all__ = ["dump_spec", "fingerprint", "plain_spec", "to_yaml"]


def dump_spec(spec: BotSpec) -> str:
    """Return YAML that loads as an equal spec."""
    return to_yaml(plain_spec(spec))


def plain_spec(spec: BotSpec) -> dict[str, Plain]:
    """Return the spec as plain values; absent components are left out."""
    absent = {name for name in type(spec.components).model_fields if name not in spec.components}
    return cast("dict[str, Plain]", spec.model_dump(mode="json", exclude={"components": absent}))


def fingerprint(spec: BotSpec) -> str:
    """Return `sha256:...` over the components: two bots with the same have the same hardware."""
    text = json.dumps(plain_spec(spec)["components"], sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def to_yaml(value: Plain) -> str:
    """Return YAML 1.2 that `twin.spec.yaml` reads as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 would not read as text, and never writes aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        plain = scalar(text) == text
    except ValueError:
        plain = False
    style = None if plain and text.isprintable() and text != "<<" else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
