"""Several faults from one validator, each at its own place.

A pydantic validator can raise one ValueError for the whole model. What looks at several
fields collects Findings instead and raises them together; `twin.spec.parse` gives every
one its line and column.
"""

from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from twin.spec.yaml import KeyPath

__all__ = ["KEY", "Findings", "did_you_mean", "listed"]

KEY = "[key]"
"""The last step of a location that means the key itself, as pydantic writes it."""


class Findings:
    """Faults in a model, at paths relative to it."""

    def __init__(self) -> None:
        self._errors: list[InitErrorDetails] = []

    def add(self, path: KeyPath, message: str, *, key: bool = False) -> None:
        """Record a fault of the value at `path`, or with `key` of its key."""
        error = PydanticCustomError("finding", "{message}", {"message": message})
        self._errors.append({"type": error, "loc": (*path, KEY) if key else path, "input": None})

    def raise_any(self, title: str) -> None:
        """Raise all faults as one ValidationError; do nothing when there are none."""
        if self._errors:
            raise ValidationError.from_exception_data(title, self._errors)


def did_you_mean(word: str, known: list[str]) -> str:
    """Return "; did you mean 'x'?" for a near miss, otherwise what there is to choose from."""
    folded = {name.casefold(): name for name in reversed(known)}
    near = get_close_matches(word.casefold(), folded, 1, cutoff=0.6)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    return f" (allowed: {listed(known)})" if known else ""


def listed(words: list[str], most: int = 12) -> str:
    """Return the words with commas, cut after `most`."""
    more = f", ... ({len(words)} in all)" if len(words) > most else ""
    return ", ".join(words[:most]) + more
