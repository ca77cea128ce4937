"""Questions to a store: filters, order, formats, and what the command line makes of them."""

import csv
import io
import json
from pathlib import Path

import apsw
import pytest
from test_registrar_store import RULES, make_note, make_row
from typer.testing import CliRunner

from twin.cli.registrar import app
from twin.errors import TwinError, UsageError
from twin.registrar.filter import Condition, Filter
from twin.registrar.query import queries, read_records
from twin.registrar.store import Store
from twin.registrar.times import parse_ns

STAMP = parse_ns("2026-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of eight events, recorded in another order than they happened, and a note."""
    folder = tmp_path_factory.mktemp("query") / "store"
    with Store(folder, RULES, "1") as store:
        for row in (
            make_row(
                4,
                event_ns=STAMP + 40,
                code=602,
                severity=30,
                bot="bot-2",
                trace="0af7651916cd43dd8448eb211c80319c",
            ),
            make_row(1, event_ns=STAMP + 10, code=100, payload='{"a":{"b":[1,{"c":"x"}]},"n":1}'),
            make_row(3, event_ns=STAMP + 30, code=603, severity=50, correlation="c-1"),
            make_row(2, event_ns=STAMP + 20, code=630, severity=10, type="t.Bus", bot="bot-2"),
            make_row(5, event_ns=STAMP + 50, payload='{"n":true,"z":null,"f":2.5}'),
            make_row(6, event_ns=STAMP + 60, payload=b"\x00\xff", code=299, bot=""),
            make_row(7, event_ns=STAMP + 70, payload='"n=1"', code=604),
            make_row(8, event_ns=STAMP + 70, payload="[]", code=604),
        ):
            store.write([row])
        store.write([], [make_note("poison")._replace(recorded_ns=STAMP + 35)])
    return folder


def found(folder: Path, **wanted: object) -> list[int]:
    """Return the stream sequences of what matches, 0 for the note."""
    return [one.stream_seq for one in read_records(folder, Filter(**wanted))]  # type: ignore[arg-type]


def test_records_come_in_the_order_of_their_events(folder: Path) -> None:
    """Events and notes are merged by time, both ways round."""
    assert found(folder) == [1, 2, 3, 0, 4, 5, 6, 7, 8]
    newest = [one.stream_seq for one in read_records(folder, Filter(), newest_first=True)]
    assert sorted(newest[:2]) == [7, 8]
    assert newest[2:] == [6, 5, 4, 0, 3, 2, 1]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"codes": ((602, 602),)}, [4]),
        ({"codes": ((600, 699),)}, [2, 3, 4, 7, 8]),
        ({"codes": ((100, 199), (602, 602))}, [1, 4, 5]),
        ({"codes": ((900, 999),)}, [0]),
        ({"codes": ((123, 123),)}, []),
        ({"severity": 30}, [3, 0, 4]),
        ({"severity": 50, "codes": ((600, 699),)}, [3]),
        ({"bot": "bot-2"}, [2, 4]),
        ({"bot": "bot-2", "codes": ((602, 602),)}, [4]),
        ({"bot": ""}, [6]),
        ({"type": "t.Bus"}, [2]),
        ({"id": "bot-1/events.v1.state/3"}, [3]),
        ({"since_ns": STAMP + 30, "until_ns": STAMP + 40}, [3, 0]),
        ({"correlation": "c-1"}, [3]),
        ({"where": (Condition("$.n", 1),)}, [1, 5]),
        ({"where": (Condition("$.a.b[1].c", "x"),)}, [1]),
        ({"where": (Condition("$.f", 2.5), Condition("$.n", True))}, [5]),
        ({"where": (Condition("$.reason", "x"),)}, [0]),
        ({"where": (Condition("$.n", "1"),)}, []),
        ({"where": (Condition("$.f", 2.5, ">="),)}, [5]),
        ({"where": (Condition("$.f", 2.5, "<"),)}, []),
        ({"where": (Condition("$.n", 4, "<="), Condition("$.kind", None, "!="))}, [2, 3, 4]),
        ({"where": (Condition("$.kind", 1, ">"),)}, []),
        ({"where": (Condition("$.kind", "boot", ">"), Condition("$.n", 3, "!="))}, [2, 4]),
        (
            {"where": (Condition("$.n", None), Condition("$.a", None)), "codes": ((604, 604),)},
            [7, 8],
        ),
        ({"trace": "0af7651916cd43dd8448eb211c80319c"}, [4]),
    ],
)
def test_filters(folder: Path, wanted: dict[str, object], expected: list[int]) -> None:
    """Each filter finds what it should and nothing else; filters combine."""
    assert found(folder, **wanted) == expected


def test_conditions_are_read_as_written() -> None:
    """Values are JSON where they can be, text otherwise; the path may leave `$.` out."""
    assert Condition.parse("a.b=20") == ("$.a.b", 20, "=")
    assert Condition.parse("$.a=true") == ("$.a", True, "=")
    assert Condition.parse('a="20"') == ("$.a", "20", "=")
    assert Condition.parse("a=x=y") == ("$.a", "x=y", "=")
    assert Condition.parse("a=[1]") == ("$.a", "[1]", "=")
    assert Condition.parse('"a.b"[0].c=null') == ('$."a.b"[0].c', None, "=")
    assert Condition.parse("a.b<=-1.5") == ("$.a.b", -1.5, "<=")
    assert Condition.parse("a!=>x") == ("$.a", ">x", "!=")
    for wrong in ("a", "=1", "", "a[=1", "a..b=1", "a[x]=1", "a<null", "a>=true"):
        with pytest.raises(UsageError):
            Condition.parse(wrong)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"codes": ((602, 602),)}, "kind"),
        ({"codes": ((100, 999),), "type": "t.Bus"}, "kind"),
        ({"bot": "bot-1"}, "bot"),
        ({"bot": "bot-1", "codes": ((602, 602),)}, "kind"),
        ({"bot": "bot-1", "severity": 50}, "severe"),
        ({"bot": "bot-2", "codes": ((100, 999),)}, "bot"),
        ({"type": "t.Bus"}, "kind"),
        ({"severity": 30}, "severe"),
        ({"severity": 50}, "severe"),
        ({"id": "x", "bot": "b"}, "key"),
        ({"correlation": "c", "bot": "b", "type": "t", "since_ns": 5}, "correlation"),
        ({"trace": "t", "codes": ((602, 602),)}, "trace"),
        ({"since_ns": 5, "until_ns": 9}, "time"),
        ({"since_ns": 5, "codes": ((602, 602),)}, "kind"),
    ],
    ids=str,
)
def test_lookups_use_an_index(folder: Path, wanted: dict[str, object], index: str) -> None:
    """No common question makes SQLite read the whole table, the rest of it, or sort much."""
    db = apsw.Connection(str(folder / "segment-000001.sqlite"), apsw.SQLITE_OPEN_READONLY)
    asked = list(queries(db, Filter(**wanted), newest_first=False))  # type: ignore[arg-type]
    assert asked[0][0] == "events"
    for table, query, values, _ in asked:
        plan = " ".join(str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values))
        if table == "events":
            verb = "SCAN" if index == "severe" else "SEARCH"
            assert f"{verb} events USING INDEX events_{index}" in plan, plan
            assert index in {"key", "correlation", "trace"} or "TEMP B-TREE" not in plan, plan
    db.close()


def test_a_bot_is_found_in_every_partition_in_order(tmp_path: Path) -> None:
    """Three partitions out of order, one without the bot: its events by time, both ways."""
    moments = {7: 50, 8: 20, 33_000: 10, 33_001: 50, 33_002: 40}
    with Store(tmp_path / "store", RULES, "1") as store:
        store.write(
            [
                make_row(number, bot="rare" if number in moments else "bot-1",
                         event_ns=moments.get(number, 30))
                for number in range(1, 33_003)
            ]
        )  # fmt: skip
    assert found(tmp_path / "store", bot="rare") == [33_000, 8, 33_002, 7, 33_001]
    newest = read_records(tmp_path / "store", Filter(bot="rare"), newest_first=True)
    assert [one.time_ns for one in newest] == [50, 50, 40, 20, 10]
    assert found(tmp_path / "store", bot="rare", since_ns=30, until_ns=50) == [33_002]
    assert found(tmp_path / "store", bot="nobody") == []


def run(*arguments: str | Path) -> tuple[int, str]:
    """Run the command line in this process; return exit code and output."""
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if isinstance(result.exception, TwinError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.output


def test_query_prints_json_lines(folder: Path) -> None:
    """`--format json` has one object a line, with the payload embedded."""
    code, output = run("query", "--store", folder, "--range", "6xx", "--severity", "warn",
                       "--format", "json")  # fmt: skip
    assert code == 0
    lines = [json.loads(line) for line in output.splitlines()]
    assert [(one["code"], one["name"], one["severity"]) for one in lines] == [
        (603, "POWER_CRITICAL", "CRITICAL"), (602, "POWER_LOW", "WARN"),
    ]  # fmt: skip
    assert lines[0]["time"] == "2026-01-01T00:00:00.00000003Z"
    assert lines[0]["payload"] == {"kind": "boot_ok", "n": 3}
    _, output = run("query", "--store", folder, "--code", "299", "--format", "json")
    assert json.loads(output)["payload"] == {"hex": "00ff"}


def test_query_prints_csv(folder: Path) -> None:
    """`--format csv` can be read back."""
    _, output = run("query", "--store", folder, "--where", "a.b[0]=1", "--format", "csv")
    (record,) = csv.DictReader(io.StringIO(output))
    assert (record["code"], record["name"], record["bot"]) == ("100", "BOOT_START", "bot-1")


@pytest.mark.parametrize(
    ("text", "marked"),
    [("=1+1", 1), ("+1", 1), ("-1", 1), ("@SUM(A1)", 1), ("\t=1", 1), ("  =1", 1), ("a=1", 0)],
)
def test_a_spreadsheet_gets_no_formulas(tmp_path: Path, text: str, marked: int) -> None:
    """`csv` keeps what was recorded; `spreadsheet` marks what a spreadsheet would calculate."""
    with Store(tmp_path / "store", RULES, "1") as store:
        store.write([make_row(1, id=text, code=100, payload="-1")])
    for form, mark in (("csv", ""), ("spreadsheet", "'")):
        _, output = run("query", "--store", tmp_path / "store", "--format", form)
        (record,) = csv.DictReader(io.StringIO(output))
        assert (record["id"], record["code"]) == (mark * marked + text, "100")
        assert record["payload"] == f"{mark}-1"


def test_a_code_may_be_a_range(folder: Path) -> None:
    """`--code` takes 6xx as `--range` does; what is neither is told with what is allowed."""
    for option in ("--code", "--range"):
        _, output = run("query", "--store", folder, option, "6xx", "--format", "json")
        assert {json.loads(line)["code"] for line in output.splitlines()} == {602, 603, 604, 630}
    for wrong in ("6x6x", "power", "-1", "6.5", "²"):
        code, output = run("query", "--store", folder, f"--code={wrong}")
        assert (code, "602 or 6xx" in output) == (2, True), output


def test_query_prints_a_table(folder: Path) -> None:
    """The default is for people: names, severities, at most `--limit` records."""
    code, output = run("query", "--store", folder, "--limit", "2")
    assert code == 0
    assert "BOOT_START" in output
    assert len(output.splitlines()) == 3
    _, output = run("query", "--store", folder, "--newest", "--limit", "1")
    assert "POWER_LOW_CLEARED" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--range", "602"), "602"),
        (("--severity", "bad"), "none of DEBUG"),
        (("--since", "yesterday"), "no time"),
        (("--since", "2026-02-30"), "--since: '2026-02-30' is no time"),
        (("--where", "x"), "no condition"),
        (("--where", '"\\"=1'), "no condition"),
        (("--where", "x=\udcff"), "no condition"),
        (("--where=x=1",) * 101, "at most 100"),
        (("--bot", "\udcff"), "--bot: '\udcff' is no UTF-8"),
        (("--code", "99999999999999999999"), "602 or 6xx"),
        (("--range", "\u0663xx"), "no range of codes"),
    ],
)
def test_wrong_filters_are_refused(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    """A filter that cannot be read is bad usage, in plain words."""
    code, output = run("query", "--store", folder, *arguments)
    assert code == 2
    assert message in output


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--since", "9999-12-31"), 0),
        (("--since", "0001-01-01", "--until", "9999-12-31"), 9),
        (("--where", "n=18446744073709551615"), 0),
        (("--where", "n<18446744073709551615"), 4),
        (("--code", "602", "--code", "603") * 1000, 2),
    ],
)
def test_far_and_many_filters_are_answered(
    folder: Path, arguments: tuple[str, ...], count: int
) -> None:
    """What is past SQLite's numbers or its depth is compared all the same."""
    code, output = run("query", "--store", folder, "--format", "json", *arguments)
    assert (code, len(output.splitlines())) == (0, count), output


def test_every_command_refuses_a_path_that_is_no_store(tmp_path: Path) -> None:
    """A wrong `--store` is an infrastructure error that names the path."""
    for command in ("query", "stats", "verify", "export"):
        code, output = run(command, "--store", tmp_path / "nothing")
        assert code == 4
        assert "nothing is no registrar store" in output


def test_stats_count_everything(folder: Path) -> None:
    """Counts per code, first and last event, last sequences."""
    _, output = run("stats", "--store", folder, "--json")
    stats = json.loads(output)
    assert (stats["events"], stats["notes"], stats["batches"]) == (8, 1, 9)
    assert stats["codes"]["604"] == 2
    assert stats["last"] == "2026-01-01T00:00:00.00000007Z"
    code, output = run("stats", "--store", folder)
    assert code == 0
    assert "POWER_LOW" in output


def test_verify_says_what_it_found(folder: Path, tmp_path: Path) -> None:
    """Exit 0 and the last hash for an intact store, exit 1 and the place for another."""
    code, output = run("verify", "--store", folder)
    assert code == 0
    assert "intact: 9 batches, 8 events, 1 notes" in output
    copy = tmp_path / "segment-000001.sqlite"
    copy.write_bytes((folder / copy.name).read_bytes())
    db = apsw.Connection(str(copy))
    db.execute("UPDATE events SET bot = 'x' WHERE row = 3")
    db.close()
    code, output = run("verify", "--store", tmp_path)
    assert code == 1
    assert "BROKEN segment-000001.sqlite, batch 3" in output
    code, output = run("verify", "--store", tmp_path, "--json")
    assert json.loads(output)["breaks"][0]["batch"] == 3


def test_checkpoints_are_exported_and_verify_takes_them(folder: Path, tmp_path: Path) -> None:
    """`checkpoints` writes what `verify --anchor` reads; a wrong file or key is told apart."""
    kept, junk = tmp_path / "kept.jsonl", tmp_path / "junk.jsonl"
    assert run("checkpoints", "--store", folder, "-o", kept)[0] == 0
    code, output = run("verify", "--store", folder, "--anchor", kept)
    assert code == 0
    assert "batches up to 9 agree with checkpoints kept elsewhere" in output
    junk.write_text(f"{kept.read_text()}nonsense\n")
    code, output = run("verify", "--store", folder, "--anchor", junk)
    assert (code, "this is no signed checkpoint" in output) == (2, True)
    assert f"{junk}:{len(kept.read_text().splitlines()) + 1}:1" in output
    code, output = run("verify", "--store", folder, "--key", "00" * 32)
    assert (code, "signed by another key" in output) == (1, True)


@pytest.mark.parametrize(
    "flags", [("--segment-size", "1X"), ("--keep-age", "-3d"), ("--keep-size", "0")]
)
def test_wrong_limits_are_refused(tmp_path: Path, flags: tuple[str, str]) -> None:
    """Sizes and ages that are none are bad usage that names the flag."""
    code, output = run("serve", "--store", tmp_path / "s", *flags)
    assert (code, output.startswith(flags[0])) == (2, True)


def test_export_has_everything(folder: Path, tmp_path: Path) -> None:
    """Every batch, event and note is a line, with its columns as they are stored."""
    code, output = run("export", "--store", folder)
    lines = [json.loads(line) for line in output.splitlines()]
    assert code == 0
    kinds = [line["kind"] for line in lines]
    assert [kinds.count(kind) for kind in ("batch", "event", "note")] == [9, 8, 1]
    assert lines[9]["headers"].startswith("NATS/1.0")
    assert run("export", "--store", folder, "-o", tmp_path / "x.jsonl")[0] == 0
    assert (tmp_path / "x.jsonl").read_text() == output
    assert run("export", "--store", folder, "-o", tmp_path / "no" / "x")[0] == 2
