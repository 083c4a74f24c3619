"""The machine itself: without a fault everything is accepted and proved, and a false book is noticed."""

import contextlib

import pytest
from load import SPOOL_STALL_MS, STALL_MS, Load


@pytest.mark.fast
def test_without_a_fault_everything_is_accepted_and_proved(rig):
    with rig.load() as load:
        load.flow(8)
    load.saw_only("202")
    assert len(load.accepted) > 8 * 3000, "the load is slower than it should be"
    rig.prove()


@pytest.mark.fast
def test_an_id_that_was_never_stored_is_found(rig):
    with rig.load() as load:
        load.accepts()
    load.ids["202"].add("01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3fa")
    with pytest.raises(AssertionError, match="answered 202 and nowhere.*01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3fa"):
        rig.prove(load)
    load.ids["202"].remove("01a1fdf0-ef50-7433-a4ea-5d2fc2c1d3fa")
    rig.prove(load)


@pytest.mark.parametrize("spoil, what", [
    (lambda rig: rig.books.sql("UPDATE ad_total SET count = count + 1 WHERE ad_id = 'fault-03' AND type = 1"), "rollups for all time"),
    (lambda rig: rig.books.redis().hincrby("{0}:t:fault-03", "c", 1), "Redis for all time"),
], ids=["rollup", "redis"])
def test_a_count_that_is_wrong_by_one_is_found(start_rig, spoil, what):
    rig = start_rig()
    with rig.load() as load:
        load.accepts()
    rig.prove()
    spoil(rig)
    with pytest.raises(AssertionError, match=what):
        rig.prove(agree_seconds=0.5)


def book_of(tmp_path, answers, syncs):
    """A load that has ended: 100 events of 202, and these lines and slow syncs."""
    load = Load(0, tmp_path / "book")
    load.book.write_text("202 900 5 -\n" * 100 + "".join(f"{line} -\n" for line in answers))
    load.syncs.write_text("".join(f"{began} {ended}\n" for began, ended in syncs))
    return load.read()


@pytest.mark.fast
@pytest.mark.parametrize("refusal, syncs", [
    ("503 1950 950", [(1000, 2000)]), ("503 1950 950", [(500, 1000 + STALL_MS)]), ("503 1950 950", [(1950 - STALL_MS, 4000)]),
    ("503 1950 950", [(0, 900), (1400, 4000)]), ("503 1502 2", [(1000, 2000)]),
], ids=["all the time", "at the beginning", "at the end", "another before", "refused at once"])
def test_a_503_is_excused_by_a_disk_that_stood_still_meanwhile(tmp_path, refusal, syncs):
    load = book_of(tmp_path, [refusal], syncs)
    load.saw_only("202")
    assert load.excused == 1


@pytest.mark.fast
@pytest.mark.parametrize("short_ms", [0, 1])
def test_a_shorter_stall_excuses_where_the_inbox_is_taken(tmp_path, short_ms):
    load = book_of(tmp_path, ["503 1950 950"], [(1000, 1000 + SPOOL_STALL_MS - short_ms)])
    with pytest.raises(AssertionError, match="clients saw"):
        load.saw_only("202")
    with contextlib.nullcontext() if short_ms == 0 else pytest.raises(AssertionError, match="clients saw"):
        load.saw_only("202", stall_ms=SPOOL_STALL_MS)


@pytest.mark.fast
@pytest.mark.parametrize("answers, syncs", [
    (["503 1950 950"], []),
    (["503 1950 950"], [(1000, 1000 + STALL_MS - 1)]),
    (["503 1950 950"], [(500, 1000 + STALL_MS - 1)]),
    (["503 1950 950"], [(1951 - STALL_MS, 4000)]),
    (["503 2001 2"], [(1000, 2000)]),
    (["503 1950 950", "503 2950 950"], [(1000, 2000)]),
    (["503-bare 1950 950"], [(1000, 2000)]),
    (["500 1950 950"], [(1000, 2000)]),
    (["lost 1950 950"], [(1000, 2000)]),
    (["503 1950 950"] * 12, [(1000, 2000)]),
], ids=["no stall", "a short one", "too early", "too late", "refused at once, after it", "one of two", "without Retry-After", "500", "lost", "more than a tenth"])
def test_nothing_else_is_excused(tmp_path, answers, syncs):
    load = book_of(tmp_path, answers, syncs)
    with pytest.raises(AssertionError, match="clients saw"):
        load.saw_only("202")
