"""The subjects that messages come on: what each is called, and how its messages look."""

from dataclasses import dataclass
from typing import Final

from twin.events.channels import AUDIT_SUBJECT
from twin.events.subjects import SubjectSpace
from twin.registrar.rules import platform_subject
from twin.registrar.shapes import Shape

__all__ = ["Place", "Places"]

MAX_SUBJECTS: Final = 100_000
AUDIT_KEY: Final = AUDIT_SUBJECT.removeprefix("qiki.")


@dataclass(slots=True, eq=False)
class Place:
    """A wire subject: its logical one, "" if nothing is recorded there, and the latest shape."""

    subject: str
    shape: Shape | None = None


class Places(dict[str, Place]):
    """By wire subject."""

    def __init__(self, space: SubjectSpace) -> None:
        super().__init__()
        self._space = space

    def __missing__(self, wire: str) -> Place:
        subject = self._space.logical(wire)
        audit = subject.endswith(AUDIT_KEY) and platform_subject(subject) == AUDIT_SUBJECT
        if len(self) >= MAX_SUBJECTS:
            self.clear()
        place = self[wire] = Place("" if audit else subject)
        return place
