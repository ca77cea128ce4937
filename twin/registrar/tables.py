"""The code table and the rules as Markdown, for docs/registrar.md.

`python -m twin.registrar.tables docs/registrar.md` writes them anew between their marks.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from twin.registrar.codes import CODES, Severity
from twin.registrar.rules import Bounds, Rule, Rules

__all__ = ["codes_table", "refresh", "rules_table"]


def codes_table() -> str:
    """Return every code with its category, default severity and meaning."""
    rows = (
        (
            str(code.number),
            f"`{code.name}`",
            code.category,
            code.severity.name,
            code.meaning,
            "platform" if code.given else "own note" if code.own else "",
        )
        for code in CODES.values()
    )
    return _table(("code", "name", "category", "severity", "meaning", "origin"), rows)


def rules_table() -> str:
    """Return our rules in the order in which they are tried."""
    rows = (
        (
            _code(rule.type),
            _code(rule.subject),
            ", ".join([*_lacks(rule), *_where(rule)]),
            f"{rule.code} {CODES[rule.code].name}",
            Severity(rule.verdict.severity).name,
            "yes" if rule.verdict.publish else "",
        )
        for rule in Rules.load().rules
    )
    return _table(("type", "subject", "where", "code", "severity", "published"), rows)


def refresh(text: str) -> str:
    """Return a document with the tables between its marks as they are now."""
    for name, table in (("codes", codes_table()), ("rules", rules_table())):
        before, begin, rest = text.partition(f"<!-- {name}: begin -->\n")
        _, end, after = rest.partition(f"<!-- {name}: end -->")
        text = f"{before}{begin}{table}{end}{after}"
    return text


def _lacks(rule: Rule) -> Iterator[str]:
    if rule.lacks:
        yield f"no object with {' '.join(f'`{name}`' for name in sorted(rule.lacks))}"


def _where(rule: Rule) -> Iterator[str]:
    return (f"`{path}` {_wanted(wanted)}" for path, wanted in rule.where.items())


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(names)
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _code(pattern: str) -> str:
    return "" if pattern in (">", "*") else f"`{pattern}`"


def _wanted(wanted: object) -> str:
    if isinstance(wanted, Bounds):
        return ", ".join(f"{name} {value:g}" for name, value in _set(wanted).items())
    if isinstance(wanted, tuple):
        return "in " + ", ".join(f"`{_yaml(value)}`" for value in wanted)
    return f"= `{_yaml(wanted)}`"


def _set(bounds: Bounds) -> Mapping[str, float]:
    return bounds.model_dump(exclude_none=True)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(refresh(path.read_text(encoding="utf-8")), encoding="utf-8")
