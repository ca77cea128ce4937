"""What a benchmark measured, as a document, as tables, and as parts of a page."""

import numpy as np
import pytest

from twin.bench.fields import FIELDS, Rounds
from twin.bench.measured import Measured, histogram, merged, quantile_ms
from twin.bench.page import part, rewritten
from twin.bench.record import costs_document, rounds_document
from twin.bench.tables import sheets
from twin.errors import UsageError
from twin.report.compare import Bench, Metric
from twin.report.ratio import ratio_of


def turn(wall_s: float, cpu_s: float, latencies_us: tuple[int, ...] = ()) -> Measured:
    """Return a turn of a thousand events."""
    spent = {"client": cpu_s, "server": 0.01}
    measured = Measured(units=1000, wall_s=wall_s, cpu_s=spent, peak_mib={"client": 80.0})
    return measured.with_latencies(latencies_us)


def document(name: str, ours: list[Measured], theirs: list[Measured]) -> Bench:
    """Return the document of rounds at one point."""
    field = FIELDS[name]
    one, other = list(field.contenders)[:2]
    turns = {(100, one): ours, (100, other): theirs}
    return rounds_document(
        Rounds(field, turns), began_ns=0, machine={"cores": 2}, versions={}, settings={"rounds": 3}
    )


def test_ratios_are_those_of_the_same_round_and_above_1_where_ours_does_better() -> None:
    """Twice the rate and a third of the processor time, whatever a round's machine did."""
    slow = (1.0, 2.0, 1.5)
    ours = [turn(0.5 * s, 0.02 * s) for s in slow]
    theirs = [turn(1.0 * s, 0.06 * s + 0.02 * (s - 1)) for s in slow]
    found = document("scale", ours, theirs).metrics
    at = "twin;SimPy a sensor, nats-py;bots=100"
    assert found[f"ratio{{{at};rate}}"].samples == pytest.approx([2.0] * 3)
    assert min(found[f"ratio{{{at};cpu}}"].samples) > 2
    assert found["cpu{twin;bots=100;server}"].samples == pytest.approx([10.0] * 3)
    assert found["memory{twin;bots=100;client}"].unit == "MiB"


def test_latencies_of_all_rounds_are_one_histogram_to_three_digits() -> None:
    """A slow round shows in the merged spectrum; each round has quantiles of its own."""
    rounds = [turn(1, 1, tuple(range(1000, 2000))), turn(1, 1, tuple(range(90_000, 91_000)))]
    bench = document("flow", rounds, rounds)
    encoded = bench.histograms["latency{twin;bots=100}"]
    assert quantile_ms(encoded, 50) == pytest.approx(2.0, rel=1e-3)
    assert quantile_ms(encoded, 99) == pytest.approx(90.98, rel=1e-3)
    assert bench.metrics["p99{twin;bots=100}"].samples == pytest.approx([1.99, 90.99], rel=1e-3)
    assert merged([histogram([5]), histogram([5])]) == merged([histogram([5, 5])])


def test_a_table_has_every_contender_and_every_ratio_with_its_interval() -> None:
    """Nothing that a document holds is left out of its tables."""
    bench = document("flow", [turn(1, 0.1, (1000,))] * 4, [turn(2, 0.2, (5000,))] * 4)
    extra = Metric(unit="us", better="lower", samples=(3.0, 4.0, 5.0))
    bench = bench.model_copy(update={"metrics": {**bench.metrics, "cpu{encode}": extra}})
    contenders, ratios, rest = sheets(bench)
    assert [row[0] for row in contenders.rows] == [
        "twin, 100 bots",
        "SimPy a sensor, nats-py, sqlite3, 100 bots",
    ]
    assert contenders.rows[0][1:] == (
        "1,000",
        "100 client + 10 server",
        "80 client",
        "1.0, 1.0, 1.0, 1.0, 1.0",
    )
    assert [row[2:] for row in ratios.rows] == [
        ("100 bots, cpu", "1.91 (1.91 to 1.91)"),
        ("100 bots, p50", "5.00 (5.00 to 5.00)"),
        ("100 bots, p99", "5.00 (5.00 to 5.00)"),
    ]
    assert rest.rows == [("cpu{encode}", "us", "4", "3", "5")]


def test_figures_of_two_things_are_crossed() -> None:
    """Planes of fleets are a row a plane and a column a fleet; what was not measured is empty."""
    costs = {"radar;calm": [1.0, 3.0, 2.0], "imu;calm": [1.0], "imu;troubled": [9.0]}
    bench = costs_document("planes", costs, "ms", began_ns=0, settings={"bots": 10})
    (sheet,) = sheets(bench)
    assert sheet.title == "Medians, ms"
    assert sheet.columns == ("", "calm", "troubled")
    assert sheet.rows == [("radar", "2", ""), ("imu", "1", "9")]


def test_an_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    """At 95 % and five rounds of 10 % noise it misses in at most one of ten."""
    noise = np.random.default_rng(3)
    missed = 0
    for _ in range(400):
        found = ratio_of(1.5 * np.exp(noise.normal(0, 0.1, 5)), [1.0] * 5, 0.95)
        missed += not found.low <= 1.5 <= found.high
    assert missed < 40


def test_a_page_gets_the_parts_that_it_names_and_keeps_its_prose() -> None:
    """Where results and parts do not fit, nothing is written and what is missing is named."""
    bench = document("scale", [turn(1, 1)] * 3, [turn(1, 1)] * 3)
    page = "# Speed\n<!-- measured: scale -->\nold\n<!-- end of scale -->\nprose\n"
    found = rewritten(page, [bench])
    assert found == page.replace("old\n", part(bench))
    assert "1970-01-01" in found
    assert "2 cores" in found
    assert rewritten(found, [bench]) == found
    for wrong in ([], [bench, bench.model_copy(update={"name": "lag"})]):
        with pytest.raises(UsageError, match=r"scale|lag"):
            rewritten(page, wrong)


def test_a_share_is_what_a_part_costs_of_the_same_round_elapsed_and_of_the_processor() -> None:
    """The store less the one without chain over the store; of the whole, over its recorder."""
    field = FIELDS["registrar"]
    turns = {(256, name): [turn(s, 0.5 * s) for s in (10.0, 20.0)] for name in field.contenders}
    turns[256, "store without chain"] = [turn(8.0, 4.5), turn(15.0, 9.0)]
    turns[256, "store without chain and dedupe"] = [turn(7.0, 4.0), turn(15.0, 8.0)]
    recorder = {"client": 1.0, "server": 5.0, "registrar": 20.0}
    turns[256, "twin"] = [
        Measured(units=1000, wall_s=30.0, cpu_s=recorder, peak_mib={}) for _ in range(2)
    ]
    bench = rounds_document(
        Rounds(field, turns), began_ns=0, machine={}, versions={}, settings={"rounds": 2}
    )
    found = {
        name.removeprefix("share"): metric.samples
        for name, metric in bench.metrics.items()
        if name.startswith("share")
    }
    assert found == {
        "{chain;store alone;bytes=256;elapsed}": pytest.approx((20, 25)),
        "{chain;store alone;bytes=256;processor}": pytest.approx((10, 10)),
        "{chain and dedupe;twin;bytes=256;elapsed}": pytest.approx((10, 50 / 3)),
        "{chain and dedupe;twin;bytes=256;processor}": pytest.approx((5, 10)),
    }
    shares = next(sheet for sheet in sheets(bench) if sheet.title.startswith("Shares"))
    assert shares.rows[0] == ("chain", "store alone", "256 bytes, elapsed", "22.5 % (20.0 to 25.0)")
