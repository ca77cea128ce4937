"""What `--shared` may do, as it stands on the command line."""

from dataclasses import dataclass

from twin.errors import UsageError
from twin.registrar.quantities import parse_size
from twin.scenario.shared import Shared

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were given; 0 and "" are not given."""

    wanted: bool
    subjects: tuple[str, ...]
    max_messages: int
    max_bytes: str
    max_rate: float

    def shared(self) -> Shared | None:
        """Return what is allowed, None without --shared; UsageError for what is incomplete."""
        given = {
            "--allow-subjects": bool(self.subjects),
            "--max-messages": bool(self.max_messages),
            "--max-bytes": bool(self.max_bytes),
            "--max-rate": bool(self.max_rate),
        }
        if not self.wanted:
            if extra := [flag for flag, is_given in given.items() if is_given]:
                raise UsageError(f"{extra[0]} belongs to --shared")
            return None
        if missing := [flag for flag, is_given in given.items() if not is_given]:
            raise UsageError(
                f"--shared needs {', '.join(missing)}: name the subjects that may be published "
                "on, and how much of it"
            )
        for subject in self.subjects:
            _check_pattern(subject)
        size = parse_size("--max-bytes", self.max_bytes)
        return Shared(self.subjects, self.max_messages, size, self.max_rate)

    def words(self) -> list[str]:
        """Return the options for a run in a process of its own."""
        if not self.wanted:
            return []
        named = [word for subject in self.subjects for word in ("--allow-subjects", subject)]
        caps = ("--max-messages", str(self.max_messages), "--max-bytes", self.max_bytes)
        return ["--shared", *named, *caps, "--max-rate", repr(self.max_rate)]


def _check_pattern(subject: str) -> None:
    tokens = subject.split(".")
    odd = not all(tokens) or ">" in tokens[:-1] or any(char.isspace() for char in subject)
    if odd or tokens[0] in ("*", ">") or subject.startswith(("$", "_INBOX")):
        raise UsageError(
            f"--allow-subjects: {subject!r} is no pattern of subjects of yours, as qiki.telemetry "
            "or qiki.events.>"
        )
