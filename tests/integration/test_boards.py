"""All ads' numbers while one client asks for ever other windows: who else asks must not notice."""

from product import wait_until

BOARD = "/api/v1/ads/analytics?limit=1&"
PLACES = 16


def refused(product):
    return sum(product.metric(f'boards_refused_total{{reason="{why}"}}') or 0 for why in ("places", "time"))


def test_windows_that_are_cycled_take_nobodys_board(start_product):
    product = start_product(WORKER_COUNT="1")
    fixed = [BOARD + "timeframe=24h", BOARD + "minutes=77", "/ads/analytics?minutes=10"]
    for path in fixed:
        assert product.get(path).status == 200
    wait_until("the places in use are shown", lambda: product.metric("boards_in_use") == len(fixed))

    answers = []
    for minutes in range(100, 200):
        answers.append(product.get(f"{BOARD}minutes={minutes}"))
        for path in fixed:
            assert product.get(path).status == 200, path

    statuses = [answer.status for answer in answers]
    assert statuses == [200] * (PLACES - len(fixed)) + [503] * (len(statuses) - PLACES + len(fixed))
    assert answers[-1].json()["code"] == "overloaded"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert refused(product) == statuses.count(503)
    wait_until("all places are in use", lambda: product.metric("boards_in_use") == product.metric("boards_max") == PLACES)

    for minutes in range(100, 200):
        product.get(f"{BOARD}minutes={minutes}")  # those that have a place are now the last that were asked for
    assert product.get(BOARD + "timeframe=7d").status == 200, "a usual window has a place at any time"
    assert product.get(fixed[1]).status == 200, "who was there before the cycled ones does not make room"


def test_a_zone_that_does_not_exist_takes_no_place(start_product):
    product = start_product(WORKER_COUNT="1")
    for number in range(2 * PLACES):
        assert product.get(f"{BOARD}timeframe=24h&timezone=Nowhere/Zone{number}").status == 400
    for minutes in range(100, 100 + PLACES):
        assert product.get(f"{BOARD}minutes={minutes}").status == 200
    assert refused(product) == 0
