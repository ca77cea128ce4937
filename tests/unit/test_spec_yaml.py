"""YAML files are read as YAML 1.2, with positions, and never with a traceback."""

import math
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twin.errors import InputError
from twin.spec.dump import to_yaml
from twin.spec.yaml import read_document, read_text

SCALARS = [
    ("no", "no"),
    ("on", "on"),
    ("y", "y"),
    ("Yes", "Yes"),
    ("True", True),
    ("false", False),
    ("12:30", "12:30"),
    ("1_000", "1_000"),
    ("1e3", 1000.0),
    ("-.5", -0.5),
    ("1.", 1.0),
    ("+7", 7),
    ("0", 0),
    ("0o17", 15),
    ("0x1F", 31),
    ("-.inf", -math.inf),
    ("~", None),
    ("", None),
    ("null", None),
    ("'null'", "null"),
    ('"1"', "1"),
    ("!!str 5", "5"),
    ("2026-11-22", "2026-11-22"),
    ("9223372036854775807", 2**63 - 1),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text or "empty" for text, _ in SCALARS])
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    """A plain scalar means what YAML 1.2 says, not what PyYAML would make of it."""
    read = read_text(f"a: {text}").value
    assert read == {"a": value}
    assert type(read["a"]) is type(value)


REFUSED = {
    "a: 1\nb: 2\na: 3": "3:1: the key 'a' is already set in line 1",
    "a: {x: 1, x: 2}": "1:11: the key 'x' is already set in line 1",
    "1: x": "1:1: the key 1 is not text: put it in quotes",
    "true: x": "1:1: the key true is not text",
    "? [a]\n: x": "1:3: the key of several values is not text",
    "<<: {a: 1}": "1:1: merge keys (<<) are not part of YAML 1.2",
    "a: 012": "1:4: 012 has a leading zero",
    "a: 9223372036854775808": "1:4: the number 9223372036854775808 does not fit into 64 bits",
    "a: 1\n---\nb: 2": "2:1: a second document begins here",
    "%YAML 1.1\n---\na: 1": "1:1: only YAML 1.2 is read here",
    "a:\n\t- b": "2:1: is not YAML: a tab cannot indent YAML: use spaces",
    "a: !!python/name:os.system x": "1:4: the tag tag:yaml.org,2002:python/name:os.system is not",
    "a: !!int 5": "1:4: the tag tag:yaml.org,2002:int is not supported",
    "a: [1, 2": "is not YAML: did not find expected ',' or ']'",
    "a: 'x": "is not YAML: found unexpected end of stream",
    "a: b: c": "1:5: is not YAML: mapping values are not allowed in this context",
    "a: *b": "1:4: the alias *b has no anchor before it",
    "a: &b [*b]": "1:8: the alias *b contains itself",
    "a: \x07": "1:4: the character U+0007 is not allowed in YAML",
    "[" * 70: "1:66: is nested deeper than 64 levels",
}


@pytest.mark.parametrize("text", REFUSED, ids=[repr(text[:14]) for text in REFUSED])
def test_what_hides_mistakes_is_refused_where_it_stands(text: str) -> None:
    """Each refusal names line and column, and says what is wrong."""
    with pytest.raises(InputError) as caught:
        read_text(text, "f.yaml")
    assert REFUSED[text] in str(caught.value)
    assert str(caught.value).startswith("f.yaml:")


def test_all_problems_of_a_file_come_at_once() -> None:
    """Three independent faults give three problems, in the order of the file."""
    with pytest.raises(InputError) as caught:
        read_text("a: 1\na: 2\n3: x\nb: 007\n")
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4]


def test_aliases_are_expanded_and_counted() -> None:
    """An alias gives the anchored value, at the place of the alias."""
    document = read_text("a: &x {k: 1}\nb: *x\n")
    assert document.value == {"a": {"k": 1}, "b": {"k": 1}}
    assert document.position(("b",)) == (2, 4)
    assert document.position(("b", "k")) == (1, 11)


def test_alias_bomb_is_stopped_early() -> None:
    """Nine levels of ten aliases each, a billion values, are refused for their number."""
    levels = ["a0: &a0 x"]
    for level in range(1, 10):
        levels.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    with pytest.raises(InputError, match="more than 100000 values"):
        read_text("\n".join(levels))


def test_chain_of_aliases_cannot_pass_the_depth_limit() -> None:
    """Depth counts what an alias contains, so short lines cannot build a deep value."""
    levels = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))]
    with pytest.raises(InputError, match=r"64:\d+: is nested deeper"):
        read_text("\n".join(levels))


def test_positions_of_keys_and_values() -> None:
    """Every key and value keeps its own place; a path that ends early gives the last place."""
    document = read_text("a: 1\nlist:\n  - x\n  - {deep: [1, two]}\n")
    assert document.position(("a",)) == (1, 4)
    assert document.position(("a",), key=True) == (1, 1)
    assert document.position(("list", 1, "deep"), key=True) == (4, 6)
    assert document.position(("list", 1, "deep", 1)) == (4, 16)
    assert document.position(("list", 1, "none", "x")) == (4, 5)
    assert document.position(()) == (1, 1)


def test_columns_count_characters_not_bytes(tmp_path: Path) -> None:
    """Text in UTF-8 outside ASCII, and a byte order mark, do not shift columns."""
    path = tmp_path / "f.yaml"
    path.write_bytes("\ufeffимя: {дрон: 1}\n".encode())
    assert read_document(path).position(("имя", "дрон")) == (1, 13)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: \xff\n", ":2:4: is not UTF-8 text"),
        (b"a: " + b"x" * (1 << 20), ": is larger than 1048576 bytes"),
    ],
)
def test_unreadable_bytes_are_problems(tmp_path: Path, data: bytes, message: str) -> None:
    """Bytes that are no UTF-8 and files that are too large are refused."""
    path = tmp_path / "f.yaml"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_document(path)
    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize("name", ["missing.yaml", ".", "a\0b"])
def test_files_that_cannot_be_opened_are_problems(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and an impossible name give a Problem, not an OSError."""
    with pytest.raises(InputError):
        read_document(f"{tmp_path}/{name}")


YAMLISH = st.text(alphabet="ab1:-[]{},&*?|>'\"#%@!~.\n\t \\é\u2028\x85<0xeo_+", max_size=60)


@settings(deadline=None)
@given(st.one_of(YAMLISH, st.text(max_size=60)))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text whatever gives anything but a document or an InputError."""
    with suppress(InputError):
        read_text(text)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["no", "1e3", "0o17", "012", "1_0", "~", "null", "<<", "=", "- a", "a: b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(PLAIN)
@example({"\x85": "a\u2028"})
def test_what_is_written_is_read_back(value: object) -> None:
    """`to_yaml` quotes whatever YAML 1.2 would read as something else."""
    assert read_text(to_yaml(value)).value == value  # type: ignore[arg-type]  # any plain value
