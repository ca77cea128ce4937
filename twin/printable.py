"""Text of others, fit for a terminal: nothing in it moves the cursor, colours or hides."""

__all__ = ["printable"]


def printable(text: str, *, lines: bool = False) -> str:
    """Return `text` with U+FFFD for each character that is none to be seen.

    Those are control characters, of terminals and of the direction of writing. With `lines`,
    line ends stay.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else "\ufffd" for char in text
    )
