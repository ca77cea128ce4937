#!/usr/bin/env python3
"""Check an evidence pack of the registrar: python verify.py PACK.zip [--key HEX]

Needs Python 3.11 and the package `cryptography`, no network and nothing else. Exit code 0: every
record in the pack is what the holder of the key signed; 1: it is not, and the first
reason is printed. README.md in the pack describes the format.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = 1
BRANCHES = 64
BATCH = (
    "batch", "first_row", "rows", "first_note", "notes", "committed_ns", "rules", "version",
    "root", "previous",
)  # fmt: skip
MOST_BYTES = 4 * 1024**3

Json = dict[str, Any]


class Refused(Exception):
    """The pack does not prove what it claims."""


def check(path: str, key: str = "") -> dict[str, Any]:
    """Return what the pack proves as a dictionary; raises Refused with the first reason."""
    try:
        with zipfile.ZipFile(path) as pack:
            if sum(entry.file_size for entry in pack.infolist()) > MOST_BYTES:
                raise Refused("the pack is too large")
            files = {name: pack.read(name) for name in pack.namelist()}
        manifest = json.loads(files["manifest.json"])
        records = lines(files["records.jsonl"])
        batches = lines(files["batches.jsonl"])
        signed = lines(files["checkpoints.jsonl"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise Refused(f"the pack cannot be read: {error!r}") from error
    if manifest["format"] != FORMAT:
        raise Refused(f"the pack has format {manifest['format']}, this reads {FORMAT}")
    if manifest["records"] != len(records):
        raise Refused(f"the pack claims {manifest['records']} records and has {len(records)}")
    if key and manifest["key"] != key:
        raise Refused(f"the pack is signed by {manifest['key']}, not by {key}")
    checkpoints: dict[int, Json] = {}
    for one in signed:
        statement = genuine(one, manifest["key"], manifest["store"])
        checkpoints[statement["batch"]] = statement
    vouched = linked(batches, checkpoints)
    seen: set[str] = set()
    for record in records:
        leaf = record["leaf"]
        kind, number, batch = leaf[:3]
        name = f"{kind} {number}"
        if name in seen:
            raise Refused(f"{name} is in the pack twice")
        seen.add(name)
        if batch not in vouched:
            raise Refused(f"{name}: no checkpoint vouches for batch {batch}")
        proven(name, leaf, record["proof"], vouched[batch])
    return {
        "records": len(records),
        "store": manifest["store"],
        "key": manifest["key"],
        "signed_ns": max((one["signed_ns"] for one in checkpoints.values()), default=0),
    }


def lines(content: bytes) -> list[Any]:
    """Return the JSON values of a file, one a line."""
    return [json.loads(line) for line in content.decode().split("\n") if line]


def leaf_of(fields: list[Any]) -> bytes:
    """Return the SHA-256 of an array as compact JSON."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


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


def linked(batches: list[list[Any]], checkpoints: dict[int, Json]) -> dict[int, Json]:
    """Return the batches, by number, from which the links lead to a checkpoint."""
    hashes: dict[int, str] = {}
    found: dict[int, Json] = {}
    vouched: dict[int, Json] = {}
    good = False
    for fields in batches:
        batch = dict(zip(BATCH, fields, strict=True))
        found[batch["batch"]] = batch
        hashes[batch["batch"]] = leaf_of(["batch", *fields]).hex()
    for number in sorted(found, reverse=True):
        if number in checkpoints:
            if checkpoints[number]["hash"] != hashes[number]:
                raise Refused(f"batch {number} is not what was signed")
            good = True
        elif number + 1 not in found:
            good = False
        elif good and found[number + 1]["previous"] != hashes[number]:
            raise Refused(f"batch {number + 1} does not follow batch {number}")
        if good:
            vouched[number] = found[number]
    return vouched


def proven(name: str, leaf: list[Any], proof: list[Any], batch: Json) -> None:
    """Follow the proof of a record to the root of its batch, and check its place there."""
    digest, place, width = leaf_of(leaf), 0, 1
    for at, others in proof:
        children = [bytes.fromhex(one) for one in others]
        if not (0 <= at <= len(children) < BRANCHES):
            raise Refused(f"{name}: its proof is malformed")
        children.insert(at, digest)
        digest = hashlib.sha256(b"node" + b"".join(children)).digest()
        place += at * width
        width *= BRANCHES
    if digest.hex() != batch["root"]:
        raise Refused(f"{name} is not what was recorded")
    kind, number = leaf[:2]
    offset = {
        "event": number - batch["first_row"],
        "note": batch["rows"] + number - batch["first_note"],
    }.get(kind)
    if place != offset:
        raise Refused(f"{name} has another place in its batch")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Check an evidence pack of the registrar.")
    parser.add_argument("pack")
    parser.add_argument("--key", default="", help="the public key, in hex, as it is known to you")
    options = parser.parse_args()
    try:
        found = check(options.pack, options.key)
    except Refused as why:
        print(f"REFUSED: {why}")
        return 1
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        print(f"REFUSED: the pack is malformed: {error!r}")
        return 1
    print(f"{found['records']} records are what store {found['store']} signed with {found['key']}")
    if not options.key:
        print("whose key that is the pack cannot prove: compare it, or give it with --key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
