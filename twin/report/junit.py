"""A result as JUnit XML: FAIL is a failure, INVALID an error, nothing is ever skipped."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from twin.verdict.files import write_atomic
from twin.verdict.result import Check, Reason, ReasonKind, Result

__all__ = ["junit_document", "write_junit"]

NS = 1_000_000_000
FORBIDDEN = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
)
"""What XML 1.0 cannot hold, not even escaped."""


def junit_document(results: Iterable[Result], errors: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return one document with a test suite per result, and one per (scenario, error)."""
    root = ET.Element("testsuites")
    for result in results:
        root.append(_suite(result))
    for name, error in errors:
        root.append(_broken(name, error))
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def write_junit(path: Path, *results: Result, errors: Iterable[tuple[str, str]] = ()) -> None:
    """Write the document, whole or not at all."""
    write_atomic(path, junit_document(results, errors))


def _broken(name: str, error: str) -> ET.Element:
    """Return the suite of a run that could not be carried out."""
    counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
    suite = ET.Element("testsuite", counts, name=_clean(name))
    case = ET.SubElement(suite, "testcase", classname=f"twin.{_clean(name)}", name="run")
    child = ET.SubElement(case, "error", type="ERROR", message=_clean(error.strip()[-200:]))
    child.text = _clean(error)
    return suite


def _suite(result: Result) -> ET.Element:
    """A suite has a case for the run, and one for each threshold, guarantee and expectation."""
    ended = result.ended_ns or result.started_ns
    suite = ET.Element(
        "testsuite",
        name=_clean(result.scenario.name),
        time=f"{max(0, ended - result.started_ns) / NS:.3f}",
        skipped="0",
    )
    suite.append(_run_case(result))
    for group, checks in (
        ("threshold", result.thresholds),
        ("guarantee", result.guarantees),
        ("expectation", result.expectations),
    ):
        suite.extend(_check_case(result, group, check) for check in checks)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    properties = ET.Element("properties")
    for name, value in (
        ("run_id", result.run_id),
        ("verdict", result.verdict),
        ("seed", str(result.seed)),
        ("digest", result.digest),
        ("reproduce", result.reproduce),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    suite.insert(0, properties)
    return suite


def _run_case(result: Result) -> ET.Element:
    """The run itself: INVALID is an error; violations and dead services without a case fail."""
    case = _case(result, "run")
    invalid = [one for one in result.reasons if one.kind is ReasonKind.INVALID]
    checked = ("threshold", "expectation", "guarantee")
    other = [
        one
        for one in result.reasons
        if one.kind is not ReasonKind.INVALID and not one.check.startswith(checked)
    ]
    if invalid:
        _add(case, "error", "INVALID", invalid)
    elif other:
        _add(case, "failure", "FAIL", other)
    return case


def _check_case(result: Result, group: str, check: Check) -> ET.Element:
    named = check.name if group == "threshold" else f"{check.name}, {check.limit}"
    case = _case(result, f"{group} {named}")
    if check.ok:
        return case
    measured = "nothing" if check.measured is None else f"{check.measured:.6g}{check.unit}"
    note = f"measured {measured}, limit {check.limit}" + (f"; {check.note}" if check.note else "")
    child = ET.SubElement(case, "error" if check.ok is None else "failure", type=group)
    child.set("message", _clean(f"{check.name}: {note}"))
    child.text = _clean(
        f"{check.name}: {note}" + (f"\nover {check.window}" if check.window else "")
    )
    return case


def _case(result: Result, name: str) -> ET.Element:
    return ET.Element(
        "testcase", classname=f"twin.{_clean(result.scenario.name)}", name=_clean(name)
    )


def _add(case: ET.Element, tag: str, kind: str, reasons: list[Reason]) -> None:
    child = ET.SubElement(case, tag, type=kind, message=_clean(reasons[0].message))
    child.text = _clean("\n".join(f"{one.check}: {one.message}" for one in reasons))


def _clean(text: str) -> str:
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
