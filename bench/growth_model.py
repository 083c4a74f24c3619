"""What more ads, a higher rate and more partitions would take: arithmetic over bench/results/growth.json alone.

A part's cores are so much for each click, message, transaction, script call, counter and sum that it deals with. How many of
these a rate makes follows from how long each lasts, for meanwhile the next one grows. Both are fitted to the measured points.
"""

import itertools
import math

PARTS = ("gateway", "nats", "ingest", "postgres", "analytics", "redis")
KINDS = {"messages": "message", "transactions": "transaction", "calls": "call"}
COSTS = {"gateway": ("clicks", "messages"), "nats": ("clicks", "messages"), "ingest": ("clicks", "messages", "transactions"),
         "postgres": ("clicks", "messages", "transactions", "sums"), "analytics": ("messages", "calls", "entries"), "redis": ("calls", "entries")}
# A partition has one thread in each reader and one backend in PostgreSQL; Redis has one thread for all. Gateways multiply
# freely, here so that each thread has room to spare, and NATS uses what cores there are.
BY_PARTITION = {"ingest": True, "postgres": True, "analytics": True, "redis": False}
GATEWAY_THREAD_PER_SECOND = 30_000
DAY, QUARTERS = 86_400, 96
STREAM_SECONDS, FOLD_SECONDS = 120 + 5 + 10, 0.25  # STREAM_DEDUP_MS with its margin and TRIM_INTERVAL_MS, FOLD_WAIT_MS
ASSUMPTIONS = """\
Reckoned on these assumptions:
- the cores are like the measured ones, and the load generator is elsewhere;
- ads are clicked alike, and each click within a fold is another visitor's: no traffic costs analytics and Redis more;
- partitions get equal shares: a partition with the one ad that everybody clicks is full before the others;
- disks take what is written, and more machines add nothing but cores: no latency of a network between them;
- a part is full when a thread of it never rests: from there on batches grow and numbers come later, until they cannot grow;
- the rate is the same all day long; the stream holds what the dedup window keeps, and Redis what 9 days leave behind."""


def difference(after, before):
    """What has come since: after - before, by name."""
    return {name: value - before.get(name, 0) for name, value in after.items()}


def quantile(buckets, share):
    """The quantile of a histogram with cumulative buckets (upper bound -> count), interpolated as Prometheus does."""
    total = max(buckets.values(), default=0)
    lower = below = 0
    for bound, count in sorted(buckets.items()):
        if count >= share * total and count > below:
            return round(lower + (bound - lower) * (share * total - below) / (count - below), 1) if bound < float("inf") else lower
        lower, below = bound, count
    return 0.0


# ---- fitting ----------------------------------------------------------------------------------------


def fit(points):
    """The model: how long a message, a transaction and a call last, and what each kind of work costs each part."""
    lasts, costs = {}, {}
    for kind in KINDS:
        seen = [seconds_of(point, kind) for point in points]
        rows = [[1, point["partitions"], point["per_second"]["clicks"] * seconds] for point, seconds in zip(points, seen)]
        lasts[kind] = least_squares(rows, seen, [point["partitions"] / point["per_second"][kind] for point in points])
    for part, kinds in COSTS.items():
        rows = [[done[kind] for kind in kinds] for done in map(work_of, points)]
        costs[part] = dict(zip(kinds, least_squares(rows, [point["cores"][part] for point in points])))
    return {"lasts": lasts, "costs": costs}


def seconds_of(point, kind):
    """How long one lasts, so that a partition's share of the clicks makes as many as were seen."""
    return max(point["partitions"] / point["per_second"][kind] - point["partitions"] / point["per_second"]["clicks"], 1e-6)


def work_of(point):
    return {**point["per_second"], "sums": sums(point["ads"], point["partitions"], point["per_second"])}


def sums(ads, partitions, done):
    """Rows of the rollups that transactions change: one an ad that they have clicks of."""
    return done["transactions"] * min(ads / partitions, done["clicks"] / done["transactions"])


def least_squares(rows, wanted, of=None):
    """Factors, none below 0, whose sums over the columns of rows come nearest to what is wanted; a miss counts as its share of it, or of `of`."""
    rows = [[value / whole for value in (*row, want)] for row, want, whole in zip(rows, wanted, of or wanted)]
    width = len(rows[0]) - 1
    best = None
    for size in range(1, width + 1):
        for chosen in itertools.combinations(range(width), size):
            found = solve([[sum(row[a] * row[b] for row in rows) for b in (*chosen, width)] for a in chosen])
            if found is None or min(found) < 0:
                continue
            factors = [found[chosen.index(column)] if column in chosen else 0.0 for column in range(width)]
            error = sum((sum(f * v for f, v in zip(factors, row)) - row[-1]) ** 2 for row in rows)
            if best is None or error < best[0]:
                best = error, factors
    return best[1]


def solve(system):
    """Gauss: the solution of a small system of linear equations, each [factors..., sum]; None: it has no one solution."""
    for column in range(len(system)):
        pivot = max(range(column, len(system)), key=lambda row: abs(system[row][column]))
        if abs(system[pivot][column]) < 1e-12:
            return None
        system[column], system[pivot] = system[pivot], system[column]
        for row in range(len(system)):
            if row != column:
                factor = system[row][column] / system[column][column]
                system[row] = [a - factor * b for a, b in zip(system[row], system[column])]
    return [row[-1] / row[position] for position, row in enumerate(system)]


# ---- reckoning --------------------------------------------------------------------------------------


def work(model, ads, rate, partitions, threads=None):
    """How many of each kind there are a second; threads: of all gateways, None: as many as the rate asks for."""
    threads = threads or math.ceil(rate / GATEWAY_THREAD_PER_SECOND)
    done = {"clicks": rate, "messages": count(model, "messages", rate, partitions * threads, threads),
            "transactions": count(model, "transactions", rate, partitions, partitions), "calls": count(model, "calls", rate, partitions, partitions)}
    clicks_a_call = rate / done["calls"]
    # A call changes a counter of each ad that it has clicks of, and the sets of their visitors.
    return {**done, "entries": done["calls"] * (min(ads / partitions, clicks_a_call) + clicks_a_call), "sums": sums(ads, partitions, done)}


def count(model, kind, rate, lanes, threads):
    """How many a second all lanes make: one lasts a while, longer the more lanes there are and the more clicks come meanwhile."""
    at_least, a_lane, a_click = model["lasts"][kind]
    idle = 1 - a_click * rate / threads
    seconds = min((at_least + a_lane * lanes) / idle, FOLD_SECONDS) if idle > 0 else FOLD_SECONDS
    return 1 / (1 / rate + seconds / lanes)


def cores(model, ads, rate, partitions, threads=None):
    done = work(model, ads, rate, partitions, threads)
    return {part: sum(cost * done[kind] for kind, cost in model["costs"][part].items()) for part in PARTS}


def busy(model, ads, rate, partitions):
    """How much of the threads that it can have each part uses; at 1 it is full."""
    used = cores(model, ads, rate, partitions)
    return {part: used[part] / (partitions if is_by_partition else 1) for part, is_by_partition in BY_PARTITION.items()}


def first_full(model, ads, partitions):
    """(the part that is full first, at which rate), by halving."""
    low, high = 1, 10_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if max(busy(model, ads, middle, partitions).values()) >= 1 else (middle, high)
    used = busy(model, ads, high, partitions)
    return max(used, key=used.get), high


def disk(results, model, ads, rate, partitions):
    """Bytes: of a day's events in PostgreSQL, of its write-ahead log that day, of the rollups a year, and on the stream."""
    points, done = results["points"], work(model, ads, rate, partitions)
    size = {name: per_click(points, name, kinds, done) for name, kinds in (("stream", ["messages"]), ("wal", ["transactions", "sums"]))}
    rows = max(points, key=lambda point: point["per_second"]["clicks"])["bytes_per_row"]
    rollup = max(points, key=lambda point: point["ads"])["bytes_per_row"]["rollups"]
    return {"events": DAY * (rate * rows["events"] + done["messages"] * rows["batches"]), "wal": DAY * rate * size["wal"],
            "rollups": 365 * QUARTERS * ads * rollup, "stream": STREAM_SECONDS * rate * size["stream"]}


def per_click(points, name, kinds, done):
    """Bytes a click: its own, and its share of what each message, transaction or sum adds."""
    rows = [[1, *(seen[kind] / seen["clicks"] for kind in kinds)] for seen in map(work_of, points)]
    own, *shared = least_squares(rows, [point["bytes_per_click"][name] for point in points])
    return own + sum(each * done[kind] for each, kind in zip(shared, kinds)) / done["clicks"]


def redis_bytes(results, ads, rate):
    """Bytes of all ads' counters after 9 days at this rate; between what was measured by straight lines on logarithmic scales."""
    known = sorted((float(clicks), size) for clicks, size in results["points"][0]["redis_bytes_per_ad"].items())
    clicks_a_minute = min(max(rate * 60 / ads, known[0][0]), known[-1][0])
    for (x0, y0), (x1, y1) in itertools.pairwise(known):
        if clicks_a_minute <= x1:
            break
    return ads * y0 * (y1 / y0) ** (math.log(clicks_a_minute / x0) / math.log(x1 / x0))


# ---- telling ----------------------------------------------------------------------------------------

SCENARIOS = {"ads x1, x10, x100": ((100, 5_000, 1), (1_000, 5_000, 1), (10_000, 5_000, 1)),
             "rate x1, x10, x100": ((100, 5_000, 1), (100, 50_000, 1), (100, 500_000, 64)),
             "partitions": ((100, 5_000, 1), (100, 5_000, 4), (100, 5_000, 16), (100, 5_000, 64)),
             "worked examples": ((1_000, 1_000, 4), (1_000, 10_000, 4), (10_000, 100_000, 4), (10_000, 100_000, 16))}


def tell(results):
    model = fit(results["points"])
    print(ASSUMPTIONS)
    print("\nµs of CPU for each of")
    for part, costs in model["costs"].items():
        print(f"  {part:<10} " + "  ".join(f"{kind} {cost * 1e6:.2f}" for kind, cost in costs.items()))
    print("ms that one lasts, and more for each partition, and for each click meanwhile")
    for kind, seconds in model["lasts"].items():
        print(f"  {KINDS[kind]:<12} " + "  ".join(f"{each * 1000:.3f}" for each in seconds))
    heading = f"{'ads':>7} {'clicks/s':>8} {'part':>4}  "
    for title, rows in SCENARIOS.items():
        print(f"\n{title}\n{heading}" + " ".join(f"{part:>9}" for part in PARTS) + "  cores  syncs/s  GB a day: events   WAL  rollups GB a year  stream GB  redis GB  first full")
        for at in rows:
            used, size = cores(model, *at), {name: count / 1e9 for name, count in disk(results, model, *at).items()}
            part, rate = first_full(model, at[0], at[2])
            print(f"{at[0]:>7} {at[1]:>8} {at[2]:>4}  " + " ".join(f"{used[part]:>9.2f}" for part in PARTS) +
                  f" {sum(used.values()):>6.1f} {work(model, *at)['messages']:>8.0f} {size['events']:>17.1f} {size['wal']:>5.0f} {size['rollups']:>17.1f} {size['stream']:>10.2f} {redis_bytes(results, *at[:2]) / 1e9:>9.2f}"
                  f"  {part} at {rate:,}/s")
    print(f"\ncores: predicted, measured, and by how much that is off; the last row is of a point that nothing is fitted to\n{heading}" +
          " ".join(f"{part:>17}" for part in PARTS) + f"{'all':>20}")
    for point in [*results["points"], results["check"]]:
        used = cores(model, point["ads"], point["per_second"]["clicks"], point["partitions"], threads=1)
        pairs = [(used[part], point["cores"][part]) for part in PARTS]
        pairs.append(tuple(map(sum, zip(*pairs))))
        print(f"{point['ads']:>7} {point['per_second']['clicks']:>8.0f} {point['partitions']:>4}  " +
              " ".join(f"{ours:>5.2f} {theirs:>5.2f} {(ours - theirs) / max(theirs, 0.005):>+5.0%}" for ours, theirs in pairs))
