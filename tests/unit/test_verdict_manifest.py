"""The manifest, the criteria and the result as files: strict, whole, and read back as written."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from verdict_folder import START_NS, S, healthy

from twin.errors import InputError, UsageError
from twin.verdict.criteria import AuditMatch, Criteria, Guarantees
from twin.verdict.files import write_atomic
from twin.verdict.judge import judge
from twin.verdict.manifest import MANIFEST, BrokenManifest, Manifest
from twin.verdict.result import RESULT, Result, Verdict, write_result


def test_a_manifest_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    """Nothing is lost or changed between save and load, criteria included."""
    manifest = Manifest.model_validate(healthy().facts())
    manifest.save(tmp_path)
    loaded = Manifest.load(tmp_path)
    assert loaded.model_copy(update={"checksum": ""}) == manifest
    assert loaded.criteria.thresholds["publish_latency{phase:steady}"] == ("p(99)<250ms", "max<1s")


def test_a_manifest_says_which_key_is_wrong(tmp_path: Path) -> None:
    """An unknown or missing key is an InputError that names it."""
    document = Manifest.model_validate(healthy().facts()).model_dump(mode="json")
    document["streems"] = document.pop("streams")
    del document["seed"]
    (tmp_path / MANIFEST).write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        Manifest.load(tmp_path)
    text = str(caught.value)
    assert "streems" in text
    assert "seed" in text


def test_an_edited_manifest_is_noticed(tmp_path: Path) -> None:
    """Criteria cannot be loosened by hand after the run; other criteria go through the judge."""
    run = healthy().write(tmp_path)
    text = (run / MANIFEST).read_text()
    (run / MANIFEST).write_text(text.replace('"lost": 0', '"lost": 9'))
    result = judge(run)
    assert (result.verdict, result.verdict.exit_code) == (Verdict.INVALID, 3)
    assert "changed since the run wrote it" in result.reasons[0].message
    with pytest.raises(BrokenManifest, match="changed since the run wrote it"):
        Manifest.load(run)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """A writer that fails leaves the old file and no litter."""
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with pytest.raises(TypeError):
        write_atomic(path, "no bytes")  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """`result.json` holds the whole judgement, versioned."""
    folder = healthy()
    folder.drop("observed", 4, 17)
    run = folder.write(tmp_path)
    result = judge(run)
    write_result(run, result)
    assert Result.load(run) == result
    document = json.loads((run / RESULT).read_bytes())
    assert (document["schema_version"], document["verdict"]) == (1, "FAIL")


def test_a_result_with_an_infinite_measurement_is_valid_json(tmp_path: Path) -> None:
    """A recovery that never came is written in a way that any JSON reader takes."""
    folder = healthy()
    folder.manifest["criteria"]["thresholds"] = {"publish_latency": ["recovery<1s"]}
    folder.outcomes["ack_ns"][folder.attempted["sim_ns"] > 5 * S] = START_NS + 11 * S
    run = folder.write(tmp_path)
    result = judge(run)
    write_result(run, result)
    measured = json.loads((run / RESULT).read_bytes())["thresholds"][0]["measured"]
    assert measured == "Infinity"
    assert Result.load(run) == result


def test_a_missing_or_broken_result_is_the_users_error(tmp_path: Path) -> None:
    """Reading a result that is none ends in a plain message."""
    with pytest.raises(UsageError, match=RESULT):
        Result.load(tmp_path)
    (tmp_path / RESULT).write_text("{}")
    with pytest.raises(InputError, match=RESULT):
        Result.load(tmp_path)


def test_verdicts_have_the_documented_exit_codes() -> None:
    """PASS 0, FAIL 1, INVALID 3."""
    assert [verdict.exit_code for verdict in Verdict] == [0, 1, 3]


@pytest.mark.parametrize(
    ("audit", "message"),
    [
        ({}, "either code or range"),
        ({"code": 101, "range": "1xx", "count": 1}, "either code or range"),
        ({"code": 101}, "say how many"),
        ({"code": 99, "count": 1}, "code"),
        ({"range": "0xx", "count": 1}, "range"),
        ({"code": 101, "count": 1, "min": 1}, "either count, or min and max"),
        ({"code": 101, "min": 3, "max": 2}, "more than max"),
        ({"code": 101, "count": -1}, "count"),
        ({"code": 101, "per_bot": {}}, "give a number"),
        ({"code": 101, "per_bot": {"mni": 1}}, "mni"),
        ({"code": 101, "count": 1, "severity": "LOUD"}, "severity"),
    ],
)
def test_expectations_that_say_nothing_are_refused(audit: dict[str, object], message: str) -> None:
    """An expectation that could never fail, or contradicts itself, is an error."""
    with pytest.raises(ValidationError, match=message):
        AuditMatch.model_validate(audit)


def test_guarantees_are_counts() -> None:
    """A negative number or a misspelt class is refused."""
    for wrong in ({"lost": -1}, {"lots": 0}, {"lost": 0.5}):
        with pytest.raises(ValidationError):
            Guarantees.model_validate(wrong)


def test_other_criteria_judge_the_same_run_otherwise(tmp_path: Path) -> None:
    """A recorded run can be judged again, stricter or more lenient."""
    folder = healthy()
    folder.drop("observed", 4, 17)
    run = folder.write(tmp_path)
    assert judge(run).verdict is Verdict.FAIL
    lenient = Criteria(guarantees=Guarantees(lost=1))
    assert judge(run, lenient).verdict is Verdict.PASS
    wrong = Criteria(thresholds={"publish_latency": ("p95<1",)})
    with pytest.raises(UsageError, match="is no threshold"):
        judge(run, wrong)
