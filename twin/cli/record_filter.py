"""The options by which records are found, shared by the commands that find them."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Annotated, Any, Final

import typer

from twin.errors import UsageError
from twin.registrar.codes import Severity, code_range
from twin.registrar.filter import Condition, Filter, is_unicode
from twin.registrar.intervals import Intervals
from twin.registrar.times import parse_ns

__all__ = ["filtered"]

DIGITS: Final = 3
"""How long a code is at most."""

FURTHEST_NS: Final = (1 << 63) - 1
MOMENT: Final = "2026-01-01T12:00:00Z"
MOST_CONDITIONS: Final = 100


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a filter; it takes the filter as `wanted`."""
    own = signature(command, eval_str=True).parameters
    options = signature(_filter, eval_str=True).parameters
    shown = {name: one for name, one in own.items() if name != "wanted"} | dict(options)

    @wraps(command)
    def run(**given: Any) -> None:
        wanted = _filter(**{name: given.pop(name) for name in options})
        command(wanted=wanted, **given)

    run.__annotations__ = {name: one.annotation for name, one in shown.items()}
    made = signature(command).replace(
        parameters=[one.replace(kind=one.KEYWORD_ONLY) for one in shown.values()]
    )
    run.__signature__ = made  # type: ignore[attr-defined]  # typer reads the options from it
    return run


def _filter(
    code: Annotated[
        list[str] | None,
        typer.Option(
            help="An event code, as 602, or a range, as 6xx; may be repeated.", metavar="CODE"
        ),
    ] = None,
    in_range: Annotated[
        list[str] | None, typer.Option("--range", help="A range of codes, as 6xx or 61x.")
    ] = None,
    severity: Annotated[
        str, typer.Option(help="This severity or a worse one, as WARN.", metavar="NAME")
    ] = "",
    bot: Annotated[str | None, typer.Option(help="A bot's id.")] = None,
    event_type: Annotated[str | None, typer.Option("--type", help="A CloudEvents type.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="A CloudEvents id.")] = None,
    since: Annotated[str, typer.Option(help="Event time from here on, RFC 3339.")] = "",
    until: Annotated[str, typer.Option(help="Event time before this, RFC 3339.")] = "",
    correlation: Annotated[str | None, typer.Option(help="A correlation id.")] = None,
    trace: Annotated[str | None, typer.Option(help="A W3C trace id.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="A field of the payload by its JSON path, compared by =, !=, <, <=, > or >=: "
            "power.soc_pct<=20, a.b[0].c=x; may be repeated.",
            metavar="PATH=VALUE",
        ),
    ] = None,
) -> Filter:
    if len(where or []) > MOST_CONDITIONS:
        raise UsageError(f"--where: {len(where or [])} are too many, at most {MOST_CONDITIONS}")
    return Filter(
        codes=tuple(Intervals([*map(_code, code or []), *map(_range, in_range or [])])),
        severity=_severity(severity),
        bot=_text("--bot", bot),
        type=_text("--type", event_type),
        id=_text("--id", event_id),
        since_ns=_time("--since", since),
        until_ns=_time("--until", until),
        correlation=_text("--correlation", correlation),
        trace=_text("--trace", trace),
        where=tuple(map(Condition.parse, where or [])),
    )


def _code(text: str) -> tuple[int, int]:
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        return int(text), int(text)
    try:
        return code_range(text)
    except ValueError as error:
        raise UsageError(
            f"--code: '{text}' is neither a code nor a range; write for example 602 or 6xx"
        ) from error


def _range(text: str) -> tuple[int, int]:
    try:
        return code_range(text)
    except ValueError as error:
        raise UsageError(f"--range: {error}") from error


def _severity(text: str) -> int:
    if not text:
        return 0
    if text.upper() not in Severity.__members__:
        raise UsageError(f"--severity: '{text}' is none of {', '.join(Severity.__members__)}")
    return Severity[text.upper()]


def _time(option: str, text: str) -> int | None:
    """Read a time; one that is further than the store's reach is the furthest one."""
    try:
        return max(-FURTHEST_NS, min(parse_ns(text), FURTHEST_NS)) if text else None
    except ValueError as error:
        raise UsageError(f"{option}: '{text}' is no time; write for example {MOMENT}") from error


def _text(option: str, text: str | None) -> str | None:
    if text is not None and not is_unicode(text):
        raise UsageError(f"{option}: '{text}' is no UTF-8")
    return text
