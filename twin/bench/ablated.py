"""The store with parts of it left out, to tell what they cost; what it records proves nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from twin.registrar import active
from twin.registrar.chain import Record
from twin.registrar.keyfilter import Keys, keys_of
from twin.registrar.record import Row
from twin.registrar.sift import Sifted
from twin.registrar.store import Store

__all__ = ["TrustingStore", "unchained"]


class TrustingStore(Store):
    """A store without deduplication: takes every event for a new one and remembers none."""

    def _insert_rows(self, rows: Sequence[Row]) -> tuple[Sifted, Keys]:
        self._active.insert(rows)
        return Sifted(list(rows), high={row.stream: row.stream_seq for row in rows}), keys_of(())


@contextmanager
def unchained() -> Iterator[None]:
    """Inside, stores of this process hash no record: there are no marks, and roots are empty."""
    with (
        patch.object(active, "record_leaves", _no_leaves),
        patch.object(active, "root", _no_root),
    ):
        yield


def _no_leaves(_records: Sequence[Record], _share: int) -> list[bytes]:
    return []


def _no_root(_leaves: Sequence[bytes]) -> str:
    return ""
