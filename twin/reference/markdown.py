"""Tables of Markdown, from values that are plain text."""

from collections.abc import Iterable, Sequence

__all__ = ["code", "first_line", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars and line breaks in a cell are made harmless."""
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: str) -> str:
    """Return text as code, "" as it is."""
    return f"`{text}`" if text else ""


def first_line(text: str | None) -> str:
    """Return the first paragraph of a docstring as one line, without its full stop."""
    paragraph = (text or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(".")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
