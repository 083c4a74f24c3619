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
from product import SERVERS, SERVICES  # noqa: E402
from proxy import DOWN, UP  # noqa: E402
from rig import Rig  # noqa: E402

FAULTS_A_ROUND = 4
RECOVER_SECONDS = 60


def killed(rig, chance):
    name = chance.choice(SERVERS + SERVICES)
    yield f"{name} is killed"
    rig.kill(name)
    yield chance.uniform(0.5, 5)
    rig.restart(name)


def frozen(rig, chance):
    name = chance.choice(SERVERS + ("ingest", "analytics"))
    yield f"{name} is frozen"
    rig.freeze(name)
    yield chance.uniform(0.5, 6)
    rig.thaw(name)


def stopped(rig, chance):
    name = chance.choice(SERVICES)
    yield f"{name} is stopped in order"
    assert rig.stack.process(name).stop(), f"{name} did not stop in time"
    yield chance.uniform(0.1, 2)
    rig.restart(name)


def spoiled(rig, chance):
    """Whatever a network can do to one connection."""
    (service, server), proxy = chance.choice(sorted(rig.link.items(), key=lambda item: item[0]))
    how = chance.choice(["hold", "hold down", "drop", "refuse", "cut", "latency", "limit"])
    yield f"{service} to {server}: {how}"
    {"hold": proxy.hold, "hold down": lambda: proxy.hold(DOWN), "drop": lambda: proxy.drop(UP, DOWN), "refuse": proxy.refuse,
     "cut": proxy.cut, "latency": lambda: setattr(proxy, "latency_s", 0.05), "limit": lambda: setattr(proxy, "bytes_per_s", 50_000)}[how]()
    if how == "refuse":
        proxy.cut()
    yield chance.uniform(0.5, 5)
    proxy.heal()


def emptied(rig, _):
    yield "redis is emptied"
    rig.books.redis().flushall()
    yield 1.0


FAULTS = [killed, frozen, stopped, spoiled, spoiled, emptied]


def run_round(rig, chance):
    began = time.monotonic()
    with rig.load() as load:
        load.accepts()
        for _ in range(FAULTS_A_ROUND):
            fault = chance.choice(FAULTS)(rig, chance)
            print(f"  {time.monotonic() - began:5.1f} s  {next(fault)}", flush=True)
            load.flow(next(fault))
            next(fault, None)
            load.flow(chance.uniform(0, 2))
        rig.recovers(RECOVER_SECONDS)
    load.saw_only("202", "503", "lost")
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
    except AssertionError:
        print(f"failed in round {rounds}; seed {args.seed}\n{rig.testimony()}", flush=True)
        raise
    finally:
        rig.heal()
        rig.close()
    print(f"{rounds} rounds, {sum(len(load.accepted) for load in rig.loads)} events, nothing lost, nothing doubled")


if __name__ == "__main__":
    main()
