"""Fingerprints are promised across versions: their bytes are pinned here."""

import hashlib

import numpy as np

from twin.events.digest import HistoryDigest, digest_record, payload_hash, payload_hashes


def test_a_record_tells_where_its_parts_end() -> None:
    """Id, subject and payload are each preceded by their length."""
    assert digest_record(b"a/b/1", b"s.t", b"{}") == b"5 3 2\na/b/1s.t{}"
    assert digest_record(b"", b"", b"") == b"0 0 0\n"


def test_the_digest_is_that_of_its_sources_by_name() -> None:
    """SHA-256 over `<name> <digest>` lines, whatever order or shard the sources came in."""
    one, two = HistoryDigest(), HistoryDigest()
    one.add("b/x", b"b/x/1", b"x", b"1")
    two.add("a/x", b"a/x/1", b"x", b"2")
    parts = [
        f"{name} {hashlib.sha256(record).hexdigest()}\n".encode()
        for name, record in (("a/x", b"5 1 1\na/x/1x2"), ("b/x", b"5 1 1\nb/x/1x1"))
    ]
    found = HistoryDigest.combine([one.source_digests(), two.source_digests()])
    assert found == hashlib.sha256(b"".join(parts)).hexdigest()


def test_payload_hashes_are_xxh3() -> None:
    """One by one or together, they are what the reference implementation gives."""
    assert payload_hash(b"") == 0x2D06800538D394C2
    payloads = [b"", b"x", b"x" * 1000]
    assert payload_hashes(payloads).tolist() == [payload_hash(payload) for payload in payloads]
    assert payload_hashes(payloads).dtype == np.uint64
