"""A node that failed is asked again after a pause that grows (C7)."""

from nanobana.keyspace.shards import FIRST_S, LONGEST_S, Shards


def test_c7_a_node_that_failed_rests_longer_each_time_and_the_others_do_not() -> None:
    clock = [100.0]
    shards = Shards(lambda: clock[0])
    pauses = []
    for _ in range(6):
        shards.failed("one")
        shards.failed("one")
        assert shards.rests("one") and not shards.rests("two")
        began = clock[0]
        while shards.rests("one"):
            clock[0] += FIRST_S / 10
        pauses.append(round(clock[0] - began, 2))
    assert pauses[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert pauses[-1] == LONGEST_S


def test_c7_an_answer_ends_the_rest() -> None:
    shards = Shards(lambda: 7.0)
    shards.failed("one")
    shards.answered("one")
    assert not shards.rests("one")
