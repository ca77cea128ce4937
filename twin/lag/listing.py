"""What JetStream tells about streams and consumers, as far as lag needs it: lean models."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from twin.jetstream.api import ApiRefused, call, call_decoded, stream_names
from twin.jetstream.connection import Connection

__all__ = [
    "Listed",
    "Listing",
    "Stored",
    "Stream",
    "next_message",
    "plain_names",
    "read_stream",
    "streams",
]

NOT_FOUND = 404
STREAM_NOT_FOUND = 10059
WILDCARDS = frozenset("*?[")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Position(_Answer):
    consumer_seq: int = 0
    stream_seq: int = 0


class _Cluster(_Answer):
    name: str = ""
    leader: str = ""


class _ConsumerConfig(_Answer):
    durable_name: str = ""
    description: str = ""
    ack_policy: str = "explicit"
    ack_wait: int = 0
    max_deliver: int = -1
    max_ack_pending: int = -1
    filter_subject: str = ""
    filter_subjects: tuple[str, ...] = ()
    deliver_subject: str = ""


class Listed(_Answer):
    """One consumer of a list, as its leader sees it."""

    name: str
    created: str = ""
    config: _ConsumerConfig = _ConsumerConfig()
    delivered: _Position = _Position()
    ack_floor: _Position = _Position()
    num_ack_pending: int = 0
    num_redelivered: int = 0
    num_waiting: int = 0
    num_pending: int = 0
    paused: bool = False
    cluster: _Cluster = _Cluster()

    @property
    def filters(self) -> tuple[str, ...]:
        """The subjects that are delivered; none means all of the stream."""
        return tuple(filter(None, (self.config.filter_subject, *self.config.filter_subjects)))


class _StreamConfig(_Answer):
    max_msgs: int = -1
    max_bytes: int = -1


class _StreamState(_Answer):
    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    first_ts: str = ""
    last_seq: int = 0
    consumer_count: int = 0


class Stream(_Answer):
    """A stream's limits and what it holds."""

    config: _StreamConfig = _StreamConfig()
    state: _StreamState = _StreamState()
    cluster: _Cluster = _Cluster()


class _Page(_Answer):
    total: int = 0
    consumers: tuple[Any, ...] = ()
    missing: tuple[str, ...] | None = None


class Stored(_Answer):
    """Where and when a message was stored; `time` is RFC 3339 with nanoseconds."""

    seq: int
    time: str


class _StoredMessage(_Answer):
    message: Stored


def plain_names(patterns: Iterable[str]) -> list[str]:
    """Return the patterns that are names, without wildcards, sorted."""
    return sorted({one for one in patterns if not WILDCARDS & set(one)})


async def streams(connection: Connection, patterns: tuple[str, ...]) -> list[str]:
    """Return the names of the streams that match one of the shell patterns, sorted.

    Plain names are returned as they are, whether or not they exist; only wildcards ask.
    """
    plain = plain_names(patterns)
    if set(plain) == set(patterns):
        return plain
    found = await stream_names(connection)
    matching = {name for name in found if any(fnmatchcase(name, one) for one in patterns)}
    return sorted(matching.union(plain))


async def read_stream(connection: Connection, name: str) -> Stream | None:
    """Return a stream, None when there is none of that name."""
    try:
        return Stream.model_validate_json(await call(connection, f"STREAM.INFO.{name}"))
    except ApiRefused as refused:
        if refused.err_code == STREAM_NOT_FOUND:
            return None
        raise


class Listing:
    """The consumers of a stream, listed again and again: what did not change is read once."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection = connection
        self._stream = stream
        self._read: dict[str, tuple[dict[str, Any], Listed]] = {}

    async def read(self) -> tuple[dict[str, Listed], set[str]]:
        """Return all consumers by name, a page at a time, and those that gave no answer.

        The second are known to a cluster's meta leader, but their own leader did not answer.
        One deleted between two pages moves those after it up, past the begin of the next: who
        is gone from a list of several pages is looked for once more. Raises ApiRefused.
        """
        read, silent, pages = await self._pages()
        if pages > 1 and self._read.keys() - read.keys() - silent:
            again, unanswered, _ = await self._pages()
            read |= again
            silent |= unanswered
        self._read = read
        return {name: listed for name, (_, listed) in read.items()}, silent - read.keys()

    async def _pages(self) -> tuple[dict[str, tuple[dict[str, Any], Listed]], set[str], int]:
        """Return consumers as they came and as they are read, the silent, and how many pages."""
        read: dict[str, tuple[dict[str, Any], Listed]] = {}
        silent: set[str] = set()
        seen = pages = 0
        while True:
            page = await self._page(seen)
            pages += 1
            read |= dict(map(self._entry, page.consumers))
            silent |= set(page.missing or ())
            seen += len(page.consumers) + len(page.missing or ())
            if not page.consumers or seen >= page.total:
                return read, silent, pages

    async def _page(self, offset: int) -> _Page:
        verb = f"CONSUMER.LIST.{self._stream}"
        try:
            return _Page.model_validate(
                await call_decoded(self._connection, verb, {"offset": offset})
            )
        except ValidationError as error:
            raise self._strange(error) from error

    def _entry(self, entry: Any) -> tuple[str, tuple[dict[str, Any], Listed]]:
        """Return a consumer as it came and as it is read, the latter from before where it can be.

        `ts` is when the server looked, and `replicas` have times too: they always differ.
        """
        try:
            entry.pop("ts", None)
            entry.get("cluster", {}).pop("replicas", None)
            before = self._read.get(entry["name"])
            if before is None:
                return entry["name"], (entry, Listed.model_validate(entry))
            known, listed = before
            if known == entry:
                return entry["name"], before
            settled = {"config": listed.config} if known.get("config") == entry["config"] else {}
            return entry["name"], (entry, Listed.model_validate(entry | settled))
        except (AttributeError, KeyError, TypeError, ValidationError) as error:
            raise self._strange(error) from error

    def _strange(self, error: Exception) -> ApiRefused:
        text = f"not a list of consumers: {error}"
        return ApiRefused(f"CONSUMER.LIST.{self._stream}", 0, 0, text)


async def next_message(
    connection: Connection, stream: str, seq: int, subject: str
) -> Stored | None:
    """Return the first message from `seq` on that matches `subject`, None when there is none."""
    body: dict[str, object] = {"seq": seq, "next_by_subj": subject}
    try:
        answer = await call(connection, f"STREAM.MSG.GET.{stream}", body)
    except ApiRefused as refused:
        if refused.code == NOT_FOUND:
            return None
        raise
    return _StoredMessage.model_validate_json(answer).message
