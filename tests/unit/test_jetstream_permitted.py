"""What may be sent: checked many at a time, with the same result as one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import UsageError
from twin.events.event import SourceTable
from twin.events.subjects import SubjectSpace
from twin.jetstream.permitted import Subjects, header_sizes

GOOD = b"NATS/1.0\r\nce-id: a/b/1\r\n"
PIECES = st.sampled_from(
    [b"NATS/1.0", b"NATS/1.0\r\n", b"\r\n", b"\r", b"\n", b"a: b", b"a: b\r\n"]
)
BLOCKS = st.lists(PIECES, max_size=5).map(b"".join) | st.just(GOOD)


@given(st.lists(BLOCKS, min_size=1, max_size=6))
def test_header_blocks_are_each_whole_by_themselves(blocks: list[bytes]) -> None:
    """No block may begin late, end early or lean on its neighbours."""
    good = all(
        block.startswith(b"NATS/1.0\r\n") and block.endswith(b"\r\n") and b"\r\n\r\n" not in block
        for block in blocks
    )
    if good:
        assert header_sizes(blocks).tolist() == [len(block) for block in blocks]
    else:
        with pytest.raises(UsageError, match="malformed"):
            header_sizes(blocks)


def test_each_source_has_its_subject_however_many_there_are() -> None:
    """Sources that are met in any order, far apart, keep their own subjects."""
    table = SourceTable()
    for number in range(5000):
        table.add(f"bot-{number}", f"q.bot-{number}.nav")
    subjects = Subjects(table, SubjectSpace())
    for met in ([7, 7, 3], [4999], [2000, 3]):
        subjects.meet(np.array(met, np.uint32))
    wanted = np.array([3, 4999, 7, 2000, 7], np.uint32)
    assert subjects.each(wanted) == [b"q.bot-%d.nav" % source for source in wanted.tolist()]
    assert subjects.of("Q.BOT-4999.NAV") == [4999]


def test_a_subject_that_cannot_be_published_to_is_named() -> None:
    """A wildcard in a subject is an error of the caller."""
    table = SourceTable()
    table.add("bot", "q.*.nav")
    with pytest.raises(UsageError, match=r"'q\.\*\.nav' is not a subject"):
        Subjects(table, SubjectSpace()).meet(np.zeros(1, np.uint32))
