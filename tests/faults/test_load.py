"""The machine itself: without a fault everything is accepted and proved, and a false book is noticed."""

import pytest


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
