"""Rules from an event to its code: stateless, data in a YAML file, compiled per event type.

The first rule whose `type`, `subject`, `lacks` and `where` all match gives the code. `type` is a
pattern with `*` over the CloudEvents type; `subject` a NATS pattern over the platform
subject (the fleet layout is translated first); `where` compares payload fields, named by
dotted paths, with a value, a list of values, or bounds; `lacks` matches a payload that is no
JSON object or has not all of some fields. An event that no rule matches gets 299 UNKNOWN_TYPE.
A user's rules come before ours.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from twin.events.subjects import FLEET_ROOT
from twin.registrar.codes import CODES, UNKNOWN_TYPE, Severity
from twin.registrar.glance import Glance, Wanted
from twin.spec.parse import parse
from twin.spec.yaml import read_document

__all__ = [
    "DEFAULT_RULES",
    "Bounds",
    "Classifier",
    "Plan",
    "Rule",
    "RuleFile",
    "Rules",
    "Verdict",
    "platform_subject",
]

DEFAULT_RULES = Path(__file__).with_name("rules.yaml")
"""The rule file that we ship."""

MAX_PLANS = 100_000

Scalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"
Test: TypeAlias = Callable[[dict[str, Json]], bool]
Compare: TypeAlias = Callable[[Json], bool]

NUMBERS: Final = (int, float)


class Verdict(NamedTuple):
    """What a rule says of an event; `severity` is a Severity as a plain number."""

    code: int
    severity: int
    publish: bool


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bounds(_Model):
    """Bounds of a number: `min` and `max` include their value, `above` and `below` do not."""

    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "Bounds":
        if not self.model_fields_set:
            raise ValueError("give at least one of min, max, above, below")
        return self

    def compare(self) -> "Compare":
        """Return what says whether a value is a number within the bounds."""
        every = ((ge, self.min), (le, self.max), (gt, self.above), (lt, self.below))
        checks: list[tuple[Callable[[Any, Any], bool], float]]
        checks = [(holds, bound) for holds, bound in every if bound is not None]
        if len(checks) == 1:
            [(holds, bound)] = checks
            return lambda value: type(value) in NUMBERS and holds(value, bound)
        return lambda value: (
            type(value) in NUMBERS and all(holds(value, bound) for holds, bound in checks)
        )


class Rule(_Model):
    """One line of the table; `publish` unset means: from severity WARN on."""

    type: str = "*"
    subject: str = ">"
    lacks: frozenset[str] = frozenset()
    where: dict[str, Bounds | tuple[Scalar, ...] | Scalar] = Field(default_factory=dict)
    code: int
    severity: Literal["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"] | None = None
    publish: bool | None = None

    @field_validator("code")
    @classmethod
    def _known(cls, code: int) -> int:
        if code not in CODES:
            raise ValueError(f"{code} is no known event code")
        if CODES[code].own:
            raise ValueError(f"{code} is reserved for the registrar's own notes")
        return code

    @field_validator("subject")
    @classmethod
    def _can_match(cls, subject: str) -> str:
        *before, last = subject.split(".")
        for token in (*before, last):
            if not token or not token.isprintable() or " " in token:
                raise ValueError(f"{subject!r} is no subject: a token is empty or has blanks")
            if len(token) > 1 and {"*", ">"} & {*token}:
                raise ValueError(f"{subject!r} matches nothing: * and > stand alone")
        if ">" in before:
            raise ValueError(f"{subject!r} matches nothing: > is the last token")
        return subject

    @property
    def verdict(self) -> Verdict:
        """What the rule says when it matches."""
        severity = Severity[self.severity] if self.severity else CODES[self.code].severity
        publish = severity >= Severity.WARN if self.publish is None else self.publish
        return Verdict(self.code, int(severity), publish)

    def test(self) -> Test | None:
        """Return the test of a payload that is an object; None if it matches any."""
        lacks = (_lacks(self.lacks),) if self.lacks else ()
        tests = (*lacks, *(_test(path, wanted) for path, wanted in self.where.items()))
        return reduce(_both, tests) if tests else None


class RuleFile(_Model):
    """A rule file as written."""

    version: Literal[1]
    rules: Annotated[tuple[Rule, ...], Field(max_length=1000)]


class Rules(NamedTuple):
    """Rules in the order in which they are tried, and the texts that they came from."""

    rules: tuple[Rule, ...]
    text: str

    @property
    def hash(self) -> str:
        """SHA-256 of the text, which every batch of the store names."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def load(cls, user_file: Path | None = None) -> "Rules":
        """Read our rules, and before them a user's; raises InputError with positions."""
        files = (DEFAULT_RULES,) if user_file is None else (user_file, DEFAULT_RULES)
        parsed = [parse(RuleFile, read_document(path)) for path in files]
        text = "".join(path.read_text(encoding="utf-8") for path in files)
        return cls(tuple(rule for file in parsed for rule in file.rules), text)


class _Step(NamedTuple):
    """The verdict on what passes a test, on everything without one."""

    test: Test | None
    verdict: Verdict


@dataclass(slots=True, eq=False)
class Plan:
    """What is tried on an event, and the verdicts if nothing fits or it is no JSON object.

    `glance` has the word of `judge` on what looks as usual.
    """

    steps: tuple[_Step, ...]
    otherwise: Verdict
    formless: Verdict
    wanted: InitVar[Wanted]
    glance: Glance = field(init=False)

    def __post_init__(self, wanted: Wanted) -> None:
        self.glance = Glance(wanted, self.judge)

    def judge(self, payload: Json) -> Verdict:
        """Return the verdict on parsed JSON."""
        if not isinstance(payload, dict):
            return self.formless
        for test, verdict in self.steps:
            if test is None or test(payload):
                return verdict
        return self.otherwise


class Classifier:
    """Applies rules to events. Which rules concern a (type, subject) is worked out once."""

    def __init__(self, rules: Rules) -> None:
        self._rules = tuple((rule, _Step(rule.test(), rule.verdict)) for rule in rules.rules)
        self._patterns = {rule.subject for rule in rules.rules}
        self._by_type: dict[str, tuple[tuple[Rule, _Step], ...]] = {}
        self._by_rules: dict[tuple[tuple[int, ...], Verdict, Verdict], Plan] = {}
        self._by_name = _Plans(self._plan)
        self.plans = _Plans(lambda kind, subject: self._by_name[kind, platform_subject(subject)])
        """By (type, logical subject): of one type all bots have the same."""
        self._unknown = Verdict(UNKNOWN_TYPE, int(CODES[UNKNOWN_TYPE].severity), False)

    def classify(self, event_type: str, subject: str, payload: Json) -> Verdict:
        """Return the verdict on an event; `subject` is logical, `payload` parsed JSON."""
        return self.plans[event_type, subject].judge(payload)

    def _plan(self, event_type: str, name: str) -> Plan:
        """Return the plan for a type and a subject as the platform calls it."""
        steps: list[_Step] = []
        rules: list[Rule] = []
        otherwise, formless = self._unknown, None
        covered = {pattern: subject_matches(pattern, name) for pattern in self._patterns}
        for rule, step in self._of_type(event_type):
            if not covered[rule.subject]:
                continue
            if not rule.where:
                formless = formless or step.verdict
            if step.test is None:
                otherwise = step.verdict
                break
            steps.append(step)
            rules.append(rule)
        formless = formless or self._unknown
        same = tuple(map(id, rules)), otherwise, formless
        if same not in self._by_rules:
            self._by_rules[same] = Plan(tuple(steps), otherwise, formless, _wanted(rules))
        return self._by_rules[same]

    def _of_type(self, event_type: str) -> "tuple[tuple[Rule, _Step], ...]":
        """Return the rules that look at events of a type; subjects are many, types are few."""
        if len(self._by_type) >= MAX_PLANS:
            self._by_type.clear()
        if event_type not in self._by_type:
            self._by_type[event_type] = tuple(
                pair for pair in self._rules if fnmatchcase(event_type, pair[0].type)
            )
        return self._by_type[event_type]


class _Plans(dict[tuple[str, str], Plan]):
    """Made when they are first asked for."""

    def __init__(self, make: Callable[[str, str], Plan]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: tuple[str, str]) -> Plan:
        if len(self) >= MAX_PLANS:
            self.clear()
        plan = self[key] = self._make(*key)
        return plan


def _wanted(rules: Sequence[Rule]) -> Wanted:
    """Return what rules look at."""
    compared: dict[str, bool] = {}
    for rule in rules:
        for name, value in rule.where.items():
            compared[name] = compared.get(name, False) or isinstance(value, Bounds)
    needed = frozenset[str]().union(*(rule.lacks for rule in rules))
    return Wanted(needed, compared, deep=any("." in name for name in compared))


def platform_subject(subject: str) -> str:
    """Return how the platform calls a logical subject of either layout."""
    if subject.startswith(FLEET_ROOT):
        return "qiki." + subject.removeprefix(FLEET_ROOT).partition(".")[2]
    return subject


def subject_matches(pattern: str, subject: str) -> bool:
    """Say whether a NATS pattern (`*` one token, `>` the rest) matches a subject."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(wanted) == len(tokens) and all(
        want in ("*", token) for want, token in zip(wanted, tokens, strict=True)
    )


def _both(one: Test, other: Test) -> Test:
    return lambda payload: one(payload) and other(payload)


def _lacks(fields: frozenset[str]) -> Test:
    return lambda payload: not fields <= payload.keys()


def _test(path: str, wanted: Bounds | tuple[Scalar, ...] | Scalar) -> Test:
    compare: Compare
    if isinstance(wanted, Bounds):
        compare = wanted.compare()
    elif isinstance(wanted, tuple):
        values = tuple(wanted)
        compare = lambda value: value in values  # noqa: E731 - three short ones beside each other
    else:
        compare = lambda value: value == wanted  # noqa: E731
    if "." not in path:
        return lambda payload: path in payload and compare(payload[path])
    steps = path.split(".")
    return lambda payload: _deep(payload, steps, compare)


def _deep(payload: Json, steps: list[str], compare: Compare) -> bool:
    for step in steps:
        if not isinstance(payload, Mapping) or step not in payload:
            return False
        payload = payload[step]
    return compare(payload)
