"""Ways to damage the synthetic folder of `verdict_folder`, each as real defects would."""

from collections.abc import Callable
from pathlib import Path

from verdict_folder import EACH, START_NS, Folder, S

from twin.verdict.journal import LocalRefusal, Outcome
from twin.verdict.judge import judge
from twin.verdict.result import ReasonKind, Result, Verdict

Mutation = Callable[[Folder], object]
FAIL, INVALID = Verdict.FAIL, Verdict.INVALID
VIOLATION, BROKEN = ReasonKind.VIOLATION, ReasonKind.BROKEN
STATE = {"subject": "qiki.events.v1.state"}


def judged(folder: Folder, path: Path) -> Result:
    """Write, seal and judge."""
    return judge(folder.write(path))


def lose_in_stream(folder: Folder) -> None:
    """The broker lost its tail: neither stored nor recorded, although acknowledged."""
    for table in ("stored", "observed"):
        folder.drop(table, 5, EACH)
    _follow(folder, 1, -1)


def store_twice(folder: Folder) -> None:
    """A retry outside the duplicate window was stored a second time."""
    folder.append("stored", 4, 12, stream_seq=401)
    _follow(folder, 1, 1)


def swap_in_stream(folder: Folder) -> None:
    """A pipelined retry was stored after its successor, and recorded so."""
    for table in ("stored", "observed"):
        folder.swap(table, (3, 20), (3, 21))
    places = [folder.where("observed", 3, seq) for seq in (20, 21)]
    folder.observed["stream_seq"][places] = folder.observed["stream_seq"][places[::-1]]


def alter_in_stream(folder: Folder) -> None:
    """A payload was damaged on its way to the stream, and recorded so."""
    for table in ("stored", "observed"):
        folder.change(table, 6, 7, hash=99)


def phantom_everywhere(folder: Folder, strange: dict[str, str]) -> None:
    """A foreign publisher wrote to a stream of the run."""
    for table in ("stored", "observed"):
        folder.phantom(table, strange)


def later_than_attempted(folder: Folder) -> None:
    """The registrar recorded a sequence that the source never reached."""
    folder.append("observed", 2, EACH, seq=EACH + 5, stream_seq=9999)


def skip_sequence(folder: Folder) -> None:
    """The generator left out a sequence number."""
    for table in ("attempted", "outcomes", "stored", "observed"):
        folder.drop(table, 8, 30)
    folder.manifest["predicted"] = {"total": 500}
    _follow(folder, 1, -1)


def refuse_but_store(folder: Folder) -> None:
    """An event is in the stream although its only try was refused."""
    folder.change("outcomes", 1, 1, outcome=Outcome.REFUSED, stream_seq=0)


def shed_but_store(folder: Folder) -> None:
    """An event is in the stream although the bot shed it."""
    folder.change("outcomes", 1, 1, outcome=Outcome.SHED, stream_seq=0, tries=0)


def give_up(kind: str) -> Mutation:
    """A consumer gave a stored event up."""

    def mutate(folder: Folder) -> None:
        at = folder.where("stored", 4, 10)
        seq = int(folder.stored["stream_seq"][at])
        folder.drop("observed", 4, 10)
        folder.advisories.append(
            {
                "role": "registrar",
                "stream": "EVENTS",
                "consumer": "registrar_EVENTS",
                "kind": kind,
                "stream_seq": seq,
                "wall_ns": START_NS,
            }
        )
        consumer = folder.manifest["consumers"][1]
        consumer.update({kind: 1, "drained": False, "ack_floor": seq - 1})

    return mutate


def give_up_unguarded(folder: Folder) -> None:
    """A consumer gave an event up, and the scenario guarantees `lost` only."""
    give_up("exhausted")(folder)
    folder.manifest["criteria"]["guarantees"] = {"lost": 0}


def recover(folder: Folder) -> None:
    """An acknowledgement got lost; the event is stored."""
    folder.change("outcomes", 3, 3, outcome=Outcome.UNKNOWN, tries=4)


def _follow(folder: Folder, stream: int, by: int) -> None:
    """Let the consumer's facts follow a change of its stream's length."""
    for key in ("ack_floor", "last_matching_seq"):
        folder.manifest["consumers"][stream][key] += by
    folder.manifest["streams"][stream]["last_seq"] += by


def facts(section: str, index: int, **changes: object) -> Mutation:
    """Change an entry of one of the manifest's lists."""
    return lambda folder: folder.manifest[section][index].update(changes)


def guarantee(**changes: object) -> Mutation:
    """Change the guarantees."""
    return lambda folder: folder.manifest["criteria"]["guarantees"].update(changes)


def threshold(selector: str, expression: str) -> Mutation:
    """Ask for one more threshold."""
    return lambda folder: folder.manifest["criteria"]["thresholds"].update({selector: [expression]})


def expect(**audit: object) -> Mutation:
    """Ask for one more expectation."""
    return lambda folder: folder.manifest["criteria"]["expect"].append({"audit": audit})


def outcomes(**fields: int) -> Mutation:
    """Change fields of every outcome."""

    def mutate(folder: Folder) -> None:
        for name, value in fields.items():
            folder.outcomes[name] = value

    return mutate


def slip(folder: Folder) -> None:
    """The generator was late in the measured phase."""
    folder.attempted["slip_us"][folder.attempted["sim_ns"] > 8 * S] = 400_000


def backlog(after: int, value: int) -> Mutation:
    """The consumer falls behind from one sample on."""

    def mutate(folder: Folder) -> None:
        for sample in folder.lag[2 * after :]:
            sample["backlog"] = value

    return mutate


def no_polls(folder: Folder) -> None:
    """Every poll of the consumers failed."""
    folder.lag = [
        {"wall_ns": one["wall_ns"], "role": "registrar", "stream": "EVENTS", "error": "timeout"}
        for one in folder.lag
    ]


def no_ages(folder: Folder) -> None:
    """The age of the oldest message was never known."""
    for sample in folder.lag:
        del sample["oldest_age_s"]
    threshold("consumer_time_lag{consumer:registrar}", "max<1s")(folder)


def overflow(folder: Folder) -> None:
    """The publisher refused events for want of room, so the load was never offered."""
    late = folder.outcomes["seq"] > 40
    folder.outcomes["outcome"][late] = Outcome.REFUSED
    folder.outcomes["error"][late] = LocalRefusal.OVERFLOW
    for table in ("stored", "observed"):
        rows = getattr(folder, table)
        setattr(folder, table, rows[rows["seq"] <= 40])


def refused_by_server(folder: Folder) -> None:
    """A stream that took no more: the server refused what came after."""
    overflow(folder)
    folder.outcomes["error"][folder.outcomes["outcome"] == Outcome.REFUSED] = 10077


def claim_other_run(folder: Folder) -> None:
    """The registrar calls a row that is in no stream another run's."""
    folder.phantom("observed", {"run": "other", "subject": "qiki.events.v1.state"})


def claim_audit(folder: Folder) -> None:
    """The registrar calls a row that is in no stream an audit record."""
    folder.phantom("observed", {"run": None, "subject": "a.qiki.events.v1.audit"})


def all_unknown(folder: Folder) -> None:
    """No event's outcome ever became known, and none is in the stream."""
    folder.outcomes["outcome"] = Outcome.UNKNOWN
    folder.stored, folder.observed = folder.stored[:0], folder.observed[:0]


def empty(folder: Folder) -> None:
    """Nothing happened at all."""
    for table in ("attempted", "outcomes", "stored", "observed"):
        setattr(folder, table, getattr(folder, table)[:0])


def wrong_count(change: Mutation) -> Mutation:
    """Somebody's own count differs from the evidence."""

    def mutate(folder: Folder) -> None:
        folder.manifest = folder.facts()
        folder.counts_follow = False
        change(folder)

    return mutate


def nothing_asked(folder: Folder) -> None:
    """The scenario has no criteria."""
    folder.manifest["criteria"] = {}


def other_sequences(folder: Folder) -> None:
    """The registrar has its rows from where the streams hold other events."""
    folder.observed["stream_seq"] = folder.observed["stream_seq"][::-1].copy()


def backwards_as_redelivered(folder: Folder) -> None:
    """The registrar recorded backwards, and says that all of it was delivered again."""
    folder.observed = folder.observed[::-1].copy()
    folder.observed["deliveries"] = 2


def purge(folder: Folder) -> None:
    """A stream was emptied after everything in it was recorded; its counts name no subject."""
    folder.stored = folder.stored[folder.stored["stream"] != 0]
    folder.manifest["streams"][0]["first_seq"] = folder.manifest["streams"][0]["last_seq"] + 1
