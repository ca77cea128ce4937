"""Validation errors become problems with positions and plain words."""

from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from twin.errors import InputError, Problem
from twin.spec.dump import to_yaml
from twin.spec.findings import Findings
from twin.spec.parse import parse
from twin.spec.units import Percent, Point, Seconds
from twin.spec.yaml import read_text


class Strict(BaseModel):
    """As the models of specs and scenarios are."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kill(Strict):
    """One kind of action."""

    fault: Literal["broker.kill"]
    restart_after: float = 1.0


class Latency(Strict):
    """Another; its field `net` has the name of nothing above it."""

    fault: Literal["net.latency"]
    jitter: Seconds = 0.0
    net: int = 1


class Square(Strict):
    """One shape without a tag."""

    side: int


class Box(Strict):
    """Another shape without a tag."""

    width: int
    height: int


class Everything(Strict):
    """One field for each kind of type that a file may have."""

    do: tuple[Annotated[Kill | Latency, Field(discriminator="fault")], ...] = ()
    limit: float | Literal["auto"] = "auto"
    shape: Square | Box | None = None
    shares: dict[Annotated[str, StringConstraints(pattern="^[a-z]+$")], Percent] = {}
    flag: bool = False
    colour: Literal["red", "green"] = "red"
    place: Point = (0.0, 0.0, 0.0)
    count: Annotated[int, Field(ge=1, le=9)] = 1
    some: Annotated[tuple[int, ...], Field(min_length=1)] = (1,)
    name: Annotated[str, StringConstraints(min_length=1, max_length=3)] = "x"

    @model_validator(mode="after")
    def _fits(self) -> "Everything":
        findings = Findings()
        if self.count == 7:
            findings.add(("count",), "seven is taken")
            findings.add(("colour",), "red does not go with seven", key=True)
        findings.raise_any("Everything")
        return self


CASES = {
    "do: [{fault: broker.kil}]": ["1:14: fault 'broker.kil' is not known here; did you mean"],
    "do: [{fault: net.latency, jiter: 1}]": [
        "1:27: unknown key 'jiter'; did you mean 'jitter'?",
    ],
    "do:\n- {fault: net.latency, jitter: -1}\n- {fault: net.latency, net: 1.0}": [
        "2:32: -1 must be at least 0 s",
        "3:29: expected a whole number, found 1.0",
    ],
    "do: [{falt: net.latency}]": ["1:6: the key 'fault' is missing"],
    "do: [5]": ["1:6: expected a mapping (key: value), found 5"],
    "do: {}": ["1:5: expected a list, found a mapping"],
    "limit: atuo": ["1:8: expected a number, found 'atuo', or 'atuo' is not known here; did"],
    "shape: {width: 1, hight: 2}": [
        "1:8: the key 'height' is missing",
        "1:19: unknown key 'hight'; did you mean 'height'?",
    ],
    "shape: {side: x}": ["1:15: expected a whole number, found 'x'"],
    "shares: {ab: 101}": ["1:14: 101 must be at most 100 %"],
    "shares: {AB: 1}": ["1:10: 'AB' does not match the pattern ^[a-z]+$"],
    "flag: yes": ["1:7: expected true or false, found 'yes'; did you mean true?"],
    "flag: 1": ["1:7: expected true or false, found 1"],
    "colour: gren": ["1:9: 'gren' is not known here; did you mean 'green'?"],
    "colour: blue": ["1:9: 'blue' is not known here (allowed: red, green)"],
    "colour: 3": ["1:9: expected 'red' or 'green', found 3"],
    "place: [1, 2]": ["1:8: entry 3 is missing"],
    "place: [1, 2, x]": ["1:15: expected a number, found 'x'"],
    "place: [1, 2, .nan]": ["1:15: expected a finite number, found nan"],
    'count: "5"': ["1:8: expected a whole number, found '5'"],
    "count: 5.0": ["1:8: expected a whole number, found 5.0"],
    "count: 10": ["1:8: 10 must be at most 9"],
    "count: true": ["1:8: expected a whole number, found true"],
    "count:": ["1:7: expected a whole number, found nothing"],
    "some: []": ["1:7: a list of 0 needs at least 1 entries"],
    "some: [x]": ["1:8: expected a whole number, found 'x'"],
    "name: abcd": ["1:7: 'abcd' may have at most 3 characters"],
    "name: 5": ["1:7: expected text, found 5"],
    "coutn: 5\nflga: true": [
        "1:1: unknown key 'coutn'; did you mean 'count'?",
        "2:1: unknown key 'flga'; did you mean 'flag'?",
    ],
    "Count: 5": ["1:1: unknown key 'Count'; did you mean 'count'?"],
    "xyzzy: 5": ["1:1: unknown key 'xyzzy' (allowed: do, limit, shape, shares, flag,"],
    "count: 7\ncolour: red": ["1:8: seven is taken", "2:1: red does not go with seven"],
    "": ["1:1: the file is empty"],
    "[]": ["1:1: expected a mapping (key: value), found a list of 0"],
    "base: &b {fault: broker.kill, x: 1}\ndo: [*b]": [
        "1:1: unknown key 'base' (allowed:",
        "1:31: unknown key 'x' (allowed: fault, restart_after)",
    ],
}


@pytest.mark.parametrize("text", CASES, ids=[repr(text[:20]) for text in CASES])
def test_every_fault_is_said_plainly_at_its_place(text: str) -> None:
    """Position, offending value and what is allowed, for each fault of the text, and no more."""
    with pytest.raises(InputError) as caught:
        parse(Everything, read_text(text, "f.yaml"))
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == len(CASES[text]), lines
    for line, expected in zip(lines, CASES[text], strict=True):
        assert line.startswith(f"f.yaml:{expected}")


def test_a_good_document_becomes_a_model() -> None:
    """Lists become tuples, and whole numbers stand for floats."""
    text = "do: [{fault: broker.kill, restart_after: 2}]\nplace: [1, 2, 3]\nlimit: 4"
    model = parse(Everything, read_text(text))
    assert model.do == (Kill(fault="broker.kill", restart_after=2.0),)
    assert model.place == (1.0, 2.0, 3.0)
    assert model.limit == 4.0


def test_a_long_value_is_cut() -> None:
    """A message stays readable when the value is a page of text."""
    with pytest.raises(InputError) as caught:
        parse(Everything, read_text(f"count: {'x' * 5000}"))
    assert len(str(caught.value)) < 150


def test_one_problem_takes_one_line() -> None:
    """Keys and values with line breaks in them cannot break the format `file:line:col: message`."""
    with pytest.raises(InputError) as caught:
        parse(Everything, read_text('"a\\nb": 1\nname: "a\\nb\\nc"\ncolour: "x\\ny"'))
    assert len(str(caught.value).splitlines()) == len(caught.value.problems) == 3


def problems_of(text: str) -> tuple[Problem, ...]:
    """Return what is wrong with a text, nothing when it is a model."""
    try:
        parse(Everything, read_text(text))
    except InputError as error:
        return error.problems
    return ()


KEYS = st.sampled_from([*Everything.model_fields, "fault", "restart_after", "side", "jitter", "x"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.floats()
    | st.sampled_from(["broker.kill", "net.latency", "auto", "red", "net", "shape", "", "\n"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_data_is_accepted_or_refused_with_positions(data: dict[str, object]) -> None:
    """Whatever the values, there is a model or an InputError, every problem on one line of it."""
    text = to_yaml(data)  # type: ignore[arg-type]  # any plain values
    for problem in problems_of(text):
        assert 1 <= problem.line <= text.count("\n") + 1
        assert len(str(problem).splitlines()) == 1
