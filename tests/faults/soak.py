#!/usr/bin/python3
"""Random faults under load, round after round, each proved: tests/faults/soak.py MINUTES [--seed N]

`./test --soak` calls it. The seed is printed, and gives the same faults in the same order again.
"""

import argparse
import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent.parent / "tools")]
from disk import failing_io  # noqa: E402
from load import SPOOL_STALL_MS, STALL_MS  # noqa: E402
from product import SERVERS, SERVICES  # noqa: E402
from proxy import DOWN, UP  # noqa: E402
from rig import COOLDOWN_SECONDS, Rig  # noqa: E402
from stack import StackError  # noqa: E402

TAKES_THE_INBOX = {"postgres", ("gateway", "postgres")}

PAIRS_A_ROUND = 3
RECOVER_SECONDS = 60


# A fault is what it befalls and a generator: its first step yields what it is, its second does it and yields how long
# it lasts, and its third ends it. Two that befall different things may overlap.


def killed(rig, chance, name):
    yield f"{name} is killed"
    rig.kill(name)
    yield chance.uniform(0.5, 5)
    rig.begin_again(name)


def frozen(rig, chance, name):
    yield f"{name} is frozen"
    rig.freeze(name)
    yield chance.uniform(0.5, 6)
    rig.thaw(name)


def stopped(rig, chance, name):
    yield f"{name} is stopped in order"
    assert rig.stack.process(name).stop(), f"{name} did not stop in time"
    yield chance.uniform(0.1, 2)
    rig.begin_again(name)


def spoiled(rig, chance, pair):
    """Whatever a network can do to one connection."""
    proxy = rig.link[pair]
    how = chance.choice(["hold", "hold down", "drop", "refuse", "cut", "latency", "limit"])
    yield f"{pair[0]} to {pair[1]}: {how}"
    {"hold": proxy.hold, "hold down": lambda: proxy.hold(DOWN), "drop": lambda: proxy.drop(UP, DOWN), "refuse": proxy.refuse,
     "cut": proxy.cut, "latency": lambda: setattr(proxy, "latency_s", 0.05), "limit": lambda: setattr(proxy, "bytes_per_s", 50_000)}[how]()
    if how == "refuse":
        proxy.cut()
    yield chance.uniform(0.5, 5)
    proxy.heal()


def emptied(rig, _, name):
    yield f"{name} is emptied"
    rig.books.redis().flushall()
    yield 1.0


def unwritable(rig, chance, name):
    yield f"{name} cannot sync its spool"
    with failing_io(rig.stack.process(name).pid, "spool", ["fdatasync"], rig.dir / "failing-io"):
        yield chance.uniform(0.5, 4)


FAULTS = [(killed, SERVERS + SERVICES), (frozen, SERVERS + ("ingest", "analytics")), (stopped, SERVICES), (spoiled, None), (spoiled, None),
          (emptied, ("redis",)), (unwritable, ("gateway",))]


def pick(rig, chance, but=None):
    """A fault and what it befalls, something else than `but`."""
    while True:
        kind, names = chance.choice(FAULTS)
        what = chance.choice(names or sorted(rig.link))
        if what != but:
            return kind, what


def run_pair(rig, chance, load, say):
    """One fault, and another one while it lasts."""
    first = pick(rig, chance)
    pair = [first, pick(rig, chance, first[1])]
    going = [kind(rig, chance, what) for kind, what in pair]
    for fault in going:
        say(next(fault))
        load.flow(next(fault) / len(going))
    for fault in going:
        next(fault, None)
        load.flow(chance.uniform(0, 1))
    for _, what in pair:
        if what in SERVICES:
            rig.stack.wait_ready(what)
    # Until a breaker's cooldown ends it may keep the inbox closed though PostgreSQL is back.
    load.flow(COOLDOWN_SECONDS if {what for _, what in pair} & TAKES_THE_INBOX else chance.uniform(0, 2))
    return pair


def run_round(rig, chance):
    began, taken_down, befallen = time.monotonic(), set(), set()
    rig.measured = {}
    with rig.load() as load:
        load.accepts()
        for _ in range(PAIRS_A_ROUND):
            pair = run_pair(rig, chance, load, lambda what: print(f"  {time.monotonic() - began:5.1f} s  {what}", flush=True))
            taken_down |= {what for kind, what in pair if kind in (killed, stopped)}
            befallen |= {what for _, what in pair}
        rig.recovers(RECOVER_SECONDS)
    load.saw_only("202", *(("503", "lost") if "gateway" in taken_down else ()), stall_ms=SPOOL_STALL_MS if befallen & TAKES_THE_INBOX else STALL_MS)
    rig.prove()


def main():
    parser = argparse.ArgumentParser(prog="./test --soak", description="Random faults under load, each round proved.")
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    print(f"seed {args.seed}: ./test --soak {args.minutes:g} --seed {args.seed}", flush=True)

    chance, deadline, rounds = random.Random(args.seed), time.monotonic() + args.minutes * 60, 0
    rig = Rig().start()
    try:
        while rounds == 0 or time.monotonic() < deadline:
            rounds += 1
            print(f"round {rounds}", flush=True)
            run_round(rig, chance)
            print("  " + ", ".join(f"{key} {value}" for key, value in rig.measured.items()), flush=True)
    except (AssertionError, StackError):
        print(f"failed in round {rounds}; seed {args.seed}\n{rig.testimony()}", flush=True)
        raise
    finally:
        rig.heal()
        rig.close()
    print(f"{rounds} rounds, {sum(len(load.accepted) for load in rig.loads)} events, nothing lost, nothing doubled")


if __name__ == "__main__":
    main()
