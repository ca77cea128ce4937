"""Expectations on the audit log: how many records of a code there are, in all and per bot.

An observer exports `observed/audit.json`: one entry per kind of record, code and severity,
with its count in all and per bot. See `twin.registrar.export`.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from twin.verdict.criteria import AuditMatch
from twin.verdict.facts import BrokenEvidence
from twin.verdict.result import AuditCounts, Check

__all__ = ["AuditLog", "audit_counts", "check_audit", "read_audit"]

AUDIT = "observed/audit.json"
NAMED = 5


class Entry(BaseModel):
    """Records of one kind, code and severity."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: int
    name: str = ""
    severity: str
    count: int
    bots: dict[str, int]


class AuditLog(BaseModel):
    """The counts of an audit log."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    counts: tuple[Entry, ...]


def read_audit(run_dir: Path) -> AuditLog | None:
    """Return the audit counts of a run, None when no observer left any."""
    path = run_dir / AUDIT
    try:
        return AuditLog.model_validate(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        raise BrokenEvidence(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def audit_counts(log: AuditLog | None) -> AuditCounts:
    """Return the counts by code and by range."""
    codes: Counter[str] = Counter()
    ranges: Counter[str] = Counter()
    names = {}
    for entry in log.counts if log else ():
        codes[str(entry.code)] += entry.count
        ranges[f"{entry.code // 100}xx"] += entry.count
        names[str(entry.code)] = entry.name
    return AuditCounts(
        codes=dict(sorted(codes.items())),
        names=dict(sorted(names.items())),
        ranges=dict(sorted(ranges.items())),
    )


def check_audit(match: AuditMatch, log: AuditLog | None, bots: Iterable[str]) -> Check:
    """Check one expectation; `bots` are all bots of the run, also those without a record."""
    return _check(match, log, sorted(set(bots)))


def _check(match: AuditMatch, log: AuditLog | None, bots: list[str]) -> Check:
    wanted = [] if match.empty else [str(match)]
    if match.per_bot is not None:
        wanted.append(f"{match.per_bot} of every bot")
    limit = ", ".join(wanted)
    if log is None:
        return Check(name=match.name, ok=None, limit=limit, note="no observer exported its audit")
    total, per_bot = 0, Counter[str]()
    for entry in log.counts:
        if entry.code in match.codes and match.severity in (None, entry.severity):
            total += entry.count
            per_bot.update(entry.bots)
    off = []
    if match.per_bot is not None:
        off = [bot for bot in bots if not match.per_bot.admits(per_bot[bot])]
    note = ""
    if off:
        listed = ", ".join(f"{bot} has {per_bot[bot]}" for bot in off[:NAMED])
        note = f"{len(off)} bots differ: {listed}" + (" ..." if len(off) > NAMED else "")
    return Check(
        name=match.name,
        ok=match.admits(total) and not off,
        measured=float(total),
        limit=limit,
        samples=total,
        note=note,
    )
