"""The pages of faults, event codes and exit codes: one table each."""

from collections.abc import Iterator
from itertools import groupby

from twin.errors import TwinError
from twin.reference.markdown import code, first_line, table
from twin.reference.schemas import Node, fault_models, key_rows
from twin.registrar.codes import CATEGORIES, CODES, Code
from twin.registrar.rules import DEFAULT_RULES

__all__ = ["codes_page", "exit_codes_page", "faults_page"]

FAULTS = """# Faults

What an event of a scenario may do: `{at: 10s, do: {fault: NAME, ...}}`. The guide is
[scenario files](../scenarios.md).

Times of faults of a bot's hardware, which take `on`, are simulated; times of all others are
wall time, so that a scenario with one of them runs at `pace: realtime`. A fault that did not
fire makes the run INVALID.
"""
CODES_HEAD = """# Event codes

The first digit is the category. Codes marked *platform* are the platform's own numbers;
those marked *registrar* are notes of the registrar about its own work, which no rule may give.
What is *bulk* is said by every bot all the time. Severities are those of the table unless a
rule says otherwise; see [the registrar](../registrar.md).
"""
EXIT_HEAD = """# Exit codes

Promised for the command `twin`; `make` turns every failure into 2.
"""
VERDICTS = (
    ("0", "PASS, or the command did what it was asked", ""),
    ("1", "FAIL: a threshold, guarantee, expectation or check does not hold", ""),
    ("3", "INVALID: the run proves nothing", ""),
)


def faults_page() -> str:
    """Return the page: every fault with its parameters, by what it breaks."""
    parts = [FAULTS]
    models = fault_models().items()
    for area, found in groupby(models, key=lambda item: item[0].partition(".")[0]):
        parts += [f"\n## {area}\n", *(_fault(name, model) for name, model in found)]
    return "".join(parts)


def _fault(name: str, model: Node) -> str:
    told = f"\n### {name}\n\n{first_line(model.get('description'))}.\n"
    rows = list(key_rows(model, without=("fault",)))
    return f"{told}\n{table(['key', 'type', 'default', 'means'], rows)}" if rows else told


def codes_page() -> str:
    """Return the page: all codes by category, and the rules that give them."""
    parts = [CODES_HEAD]
    for digit, category in CATEGORIES.items():
        rows = [_code(one) for one in CODES.values() if one.number // 100 == digit]
        head = ["code", "name", "severity", "means", ""]
        parts.append(f"\n## {digit}xx {category}\n\n{table(head, rows)}")
    rules = DEFAULT_RULES.read_text(encoding="utf-8")
    parts.append(f"\n## The rules that come with it\n\n```yaml\n{rules}```\n")
    return "".join(parts)


def _code(one: Code) -> tuple[str, str, str, str, str]:
    marks = ((one.given, "platform"), (one.own, "registrar"), (one.bulk, "bulk"))
    marked = ", ".join(name for is_marked, name in marks if is_marked)
    return str(one.number), code(one.name), one.severity.name, one.meaning, marked


def exit_codes_page() -> str:
    """Return the page: exit codes with the errors that lead to them."""
    rows = sorted([*VERDICTS, *_errors(TwinError)], key=lambda row: int(row[0]))
    return f"{EXIT_HEAD}\n{table(['exit code', 'means', 'error'], rows)}"


def _errors(error: type[TwinError]) -> Iterator[tuple[str, str, str]]:
    yield str(error.exit_code), first_line(error.__doc__), code(error.__name__)
    for child in error.__subclasses__():
        if child.__module__ == TwinError.__module__:
            yield from _errors(child)
