#!/usr/bin/env python3
"""Check an evidence pack of the registrar: python verify.py PACK.zip [--key HEX]

Needs Python 3.11 and the package `cryptography`, no network. Exit code 0: every record in the pack
is what the holder of the key signed; 1: it is not, and why. README.md in it describes the format.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections import namedtuple
from typing import Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError as error:
    sys.exit(f"nothing is checked without the package cryptography: {error}")

FORMATS = (1, 2, 3)  # the first has no rows
ALONE, GROUP, BRANCHES, MOST_BYTES = 128, 8, 64, 4 * 1024**3

Json = dict[str, Any]
Batch = namedtuple(
    "Batch", "batch first_row rows first_note notes committed_ns rules version root previous"
)


class Refused(Exception):
    """The pack does not prove what it claims."""


def check(path: str, key: str = "") -> dict[str, Any]:
    """Return what the pack proves as a dictionary; raises Refused with the first reason."""
    try:
        with zipfile.ZipFile(path) as pack:
            if sum(entry.file_size for entry in pack.infolist()) > MOST_BYTES:
                raise Refused("the pack is too large")
            files = unique([(name, pack.read(name)) for name in pack.namelist()])
        manifest = json.loads(files["manifest.json"], object_pairs_hook=unique)
        records = lines(files["records.jsonl"])
        batches = lines(files["batches.jsonl"])
        signed = lines(files["checkpoints.jsonl"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise Refused(f"the pack cannot be read: {error!r}") from error
    if manifest["format"] not in FORMATS[any("rows" in record for record in records) :]:
        raise Refused(f"the pack has format {manifest['format']}, this reads {FORMATS}")
    count = len(unique([(name, record) for record in records for name in names_of(record)]))
    if manifest["records"] != count or not count:
        raise Refused(f"the pack claims {manifest['records']} records and has {count}")
    if key and manifest["key"] != key:
        raise Refused(f"the pack is signed by {manifest['key']}, not by {key}")
    statements = (genuine(one, manifest["key"], manifest["store"]) for one in signed)
    vouched = linked(batches, {one["batch"]: one["hash"] for one in statements})
    for record in records:
        proven(record, vouched)
    return {"records": count, "store": manifest["store"], "key": manifest["key"]}


def lines(data: bytes) -> list[Any]:
    """Return the JSON values of a file, one a line."""
    return [json.loads(one, object_pairs_hook=unique) for one in data.decode().split("\n") if one]


def unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return what has a name each: of two with one name, readers may take either."""
    found: dict[Any, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(f"{name} is in the pack twice")
        found[name] = value
    return found


def names_of(record: Json) -> list[str]:
    """Return what a line of records claims to be recorded."""
    if {*record} - {"rows"} != {"leaf", "proof"}:
        raise Refused("a line of records says more or less than it should")
    if "rows" in record:
        return [f"event {row:d}" for row in record["rows"]]
    return ["{} {}".format(*record["leaf"])]


def leaf_of(fields: list[Any]) -> bytes:
    """Return the SHA-256 of an array as compact JSON."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def group_of(records: list[list[Any]]) -> bytes:
    """Return the SHA-256 of records, arrays of 16 fields and more, in MessagePack."""
    arrays = (b"\xdc" + len(one).to_bytes(2, "big") + b"".join(map(pack, one)) for one in records)
    return hashlib.sha256(b"".join(arrays)).digest()


def pack(field: Any) -> bytes:
    """Return a field in MessagePack; bytes come as an array of their hexadecimal digits."""
    if type(field) is int:
        small = -32 <= field < 128
        return field.to_bytes(1, signed=True) if small else coded(0xCC + 4 * (field < 0), field)
    data = field.encode() if isinstance(field, str) else bytes.fromhex(*field)
    if not isinstance(field, str) and field != [data.hex()]:
        raise Refused(f"{str(field)[:80]} is no field of a record")
    if isinstance(field, str) and len(data) < 32:
        return bytes([0xA0 | len(data)]) + data
    return coded(0xD9 if isinstance(field, str) else 0xC4, len(data)) + data


def coded(code: int, value: int) -> bytes:
    """Return a number in 1, 2, 4 or 8 bytes, as few as it takes, after the code that says so."""
    size = next((one for one in (1, 2, 4) if -(1 << 8 * one - 1) <= value < 1 << 8 * one), 8)
    return bytes([code + size.bit_length() - 1]) + value.to_bytes(size, "big", signed=value < 0)


def genuine(signed: Json, key: str, store: str) -> Json:
    """Return the statement of a checkpoint that the key signed for the store."""
    text = signed["statement"]
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signed["signature"]), text.encode())
    except (InvalidSignature, ValueError) as error:
        raise Refused("a checkpoint was not signed by the key") from error
    statement: Json = json.loads(text)
    if (statement["kind"], statement["store"], statement["key"]) != ("checkpoint", store, key):
        raise Refused("a checkpoint is of another store, of another key, or no checkpoint")
    return statement


def linked(batches: list[list[Any]], signed: dict[int, str]) -> dict[int, Batch]:
    """Return the batches by number; from each the links lead to one whose hash is signed."""
    found = unique([(fields[0], Batch(*fields)) for fields in batches])
    for number in sorted(found, reverse=True):
        digest = leaf_of(["batch", *found[number]]).hex()
        if signed.get(number, digest) != digest:
            raise Refused(f"batch {number} is not what was signed")
        if number not in signed and number + 1 not in found:
            raise Refused(f"no checkpoint vouches for batch {number}")
        if number + 1 in found and found[number + 1].previous != digest:
            raise Refused(f"batch {number + 1} does not follow batch {number}")
    return found


def proven(record: Json, vouched: dict[int, Batch]) -> None:
    """Follow the proof of a leaf to the root of its batch, and check its place there."""
    leaf, rows = record["leaf"], record.get("rows")
    name, of = names_of(record)[0], leaf[2] if rows is None else leaf[0][1]
    if of not in vouched:
        raise Refused(f"{name}: no checkpoint vouches for batch {of}")
    digest = leaf_of(leaf) if rows is None else group_of(leaf)
    place, width = 0, 1
    for at, others in record["proof"]:
        children = [bytes.fromhex(one) for one in others]
        if not (0 <= at <= len(children) < BRANCHES):
            raise Refused(f"{name}: its proof is malformed")
        children.insert(at, digest)
        digest = hashlib.sha256(b"node" + b"".join(children)).digest()
        place += at * width
        width *= BRANCHES
    if digest.hex() != vouched[of].root:
        raise Refused(f"{name} is not what was recorded")
    if not at_home(record, place, vouched[of]):
        raise Refused(f"{name} has another place in its batch")


def at_home(record: Json, place: int, batch: Batch) -> bool:
    """Tell whether a leaf belongs to a place in a batch; before notes, events may share theirs."""
    leaf, first, count = record["leaf"], batch.first_row, batch.rows
    if "rows" in record:
        rows, shares = range(first, first + count), (1, GROUP) if count <= ALONE else (GROUP,)
        homes = [[*rows[place * share : (place + 1) * share]] for share in shares]
        shown = [one[0] for one in leaf if one[1] == batch.batch]
        return len(shown) == len(leaf) and shown in homes and {*record["rows"]} <= {*shown}
    if leaf[0] == "event":
        return bool(place == leaf[1] - first)
    note = leaf[1] - batch.first_note
    return leaf[0] == "note" and place in (count + note, -(-count // GROUP) + note)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Check an evidence pack of the registrar.")
    parser.add_argument("pack")
    parser.add_argument("--key", default="", help="the public key, in hex, as it is known to you")
    options = parser.parse_args()
    try:
        found = check(options.pack, options.key.lower())
    except Exception as why:  # whatever it is, nothing is proven
        print("REFUSED:", why if isinstance(why, Refused) else f"the pack is malformed: {why!r}")
        return 1
    print(f"{found['records']} records are what store {found['store']} signed with {found['key']}")
    if not options.key:
        print("whose key that is the pack cannot prove: compare it, or give it with --key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
