"""What a benchmark leaves out of the store is left out, and nothing else is."""

from pathlib import Path

from test_registrar_store import RULES, make_row, rows_of

from twin.bench.ablated import TrustingStore, unchained
from twin.registrar.chain import MARK
from twin.registrar.store import Store
from twin.registrar.verify import verify


def test_without_its_chain_a_store_keeps_all_but_hashes(tmp_path: Path) -> None:
    """The same rows, recognised when they come again; no marks, empty roots, in there only."""
    rows = [make_row(seq) for seq in range(1, 121)]
    for name in ("whole", "lacking", "after"):
        with Store(tmp_path / name, RULES, "1") as store:
            if name == "lacking":
                with unchained():
                    assert len(store.write(rows).rows) == len(rows)
                    assert store.write(rows).redelivered == len(rows)
            else:
                store.write(rows)
    whole, lacking = rows_of(tmp_path / "whole"), rows_of(tmp_path / "lacking")
    assert lacking == whole
    for name, size in (("whole", MARK * len(rows)), ("lacking", 0)):
        assert [len(str(one["root"])) for one in rows_of(tmp_path / name, "batches")] == [
            64 if size else 0
        ]
        assert [len(bytes(one["marks"])) for one in rows_of(tmp_path / name, "marks")] == [size]
    assert verify(tmp_path / "after").good
    assert not verify(tmp_path / "lacking").good


def test_a_trusting_store_records_what_comes_again(tmp_path: Path) -> None:
    """It looks nothing up, and goes on where its stream was left."""
    rows = [make_row(seq) for seq in range(1, 4)]
    with TrustingStore(tmp_path / "store", RULES, "1") as store:
        store.write(rows)
        assert len(store.write(rows).rows) == len(rows)
        assert store.last_sequences == {rows[0].stream: 3}
    assert len(rows_of(tmp_path / "store")) == 6
