"""What more ads, a higher rate and more partitions would take: arithmetic over bench/results/growth.json alone.

A part's cores are so much for each click, message, transaction, script call, counter and sum that it deals with. How many of
these a rate makes follows from how long each lasts, for meanwhile the next one grows. How old a click is when it is stored or
counted follows from the same, and memory is so much for a process, a partition, and what passes. All of it is fitted to the measured points.
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
# The largest that there may be: BATCH_EVENTS, FOLD_ENTRIES_MAX.
TRANSACTION_CLICKS, CALL_ENTRIES = 4_000, 5_000
# A click waits for its message, then for the transaction (call) that takes it; both of these parts must keep up with them.
READERS = {"ingest": ("transactions", ("ingest", "postgres")), "analytics": ("calls", ("analytics", "redis"))}
SERVICES = ("gateway", "ingest", "analytics")
# RECENT_IDS_MAX, and the 8 bytes of each that analytics fills one by one; their table is touched all over at once.
RECENT_IDS, RECENT_ID_MIB = 500_000, 8 / (1 << 20)
WARM_SECONDS, SECONDS = 3, 12  # of load, before a point is measured, and while it is
AGES_MS = (0, 10, 25, 50, 100, 250, 500, 1_000, math.inf)  # metric_buckets_age: of a measured age only the bucket is known
DAY, QUARTERS = 86_400, 96
STREAM_SECONDS = 120 + 5 + 10  # STREAM_DEDUP_MS with its margin and TRIM_INTERVAL_MS
LASTS_SECONDS_MAX = 0.25  # of a message, a transaction and a call, as FOLD_WAIT_MS has it of the last
ASSUMPTIONS = """\
Reckoned on these assumptions:
- the cores are like the measured ones, and the load generator is elsewhere;
- ads are clicked alike, and each click within a fold is another visitor's: no traffic costs analytics and Redis more;
- partitions get equal shares: a partition with the one ad that everybody clicks is full before the others;
- disks take what is written, and more machines add nothing but cores: no latency of a network between them;
- a part is full when a thread of it never rests: from there on batches grow and numbers come later, until they cannot grow;
- the rate is the same all day long; the stream holds what the dedup window keeps, and Redis what 9 days leave behind;
- no message, transaction or call lasts longer than 250 ms, so that an age of 250 ms may be more;
- one ingest and one analytics hold all partitions and have run for long, and there is a gateway for each of its threads;
- half of the transactions (calls) have no click older than is told; the slowest hundredth, which waits for a disk, is not reckoned.
  "?": for more clicks a partition, or more partitions times gateway threads, than were measured. "later": a part is full, but batches can
  still grow until it keeps up. "no end": it is full with the largest batches, too, and lag grows for as long as the rate lasts.
Partitions end at 64, for there can be no more (PARTITIONS): x100 of them is not to be had."""


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
    """The model: how long a message, a transaction and a call last, what each kind of work costs each part, and what memory is made of."""
    lasts, costs = {}, {}
    for kind in KINDS:
        seen = [seconds_of(point, kind) for point in points]
        rows = [[1, point["partitions"], point["per_second"]["clicks"] * seconds] for point, seconds in zip(points, seen)]
        lasts[kind] = least_squares(rows, seen, [point["partitions"] / point["per_second"][kind] for point in points])
    for part, kinds in COSTS.items():
        rows = [[done[kind] for kind in kinds] for done in map(work_of, points)]
        costs[part] = dict(zip(kinds, least_squares(rows, [point["cores"][part] for point in points])))
    memory = {}
    for service in SERVICES:
        rows = [held(service, point["per_second"]["clicks"], point["partitions"], WARM_SECONDS + SECONDS) for point in points]
        memory[service] = least_squares(rows, [point["memory_mib"][service] for point in points])
    most = {"partitions": max(point["partitions"] for point in points), "clicks": max(point["per_second"]["clicks"] / point["partitions"] for point in points)}
    return {"lasts": lasts, "costs": costs, "memory": memory, "most": most}


def held(service, rate, partitions, seconds):
    """What memory goes with: a process, its partitions, and thousands of clicks a second, or for analytics MiB of ids after so many seconds."""
    passing = partitions * min(RECENT_IDS, rate / partitions * seconds) * RECENT_ID_MIB if service == "analytics" else rate / 1000
    return [1, partitions, passing]


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
    return with_changes(ads, partitions, {**done, **{kind: max(done[kind], fewest) for kind, fewest in fewest_batches(ads, rate, partitions).items()}})


def fewest_batches(ads, rate, partitions):
    """How many transactions and calls there are at least, in which batches are as large as they may be."""
    return {"transactions": rate / TRANSACTION_CLICKS, "calls": rate / max(CALL_ENTRIES - ads / partitions, CALL_ENTRIES / 2)}


def with_changes(ads, partitions, done):
    """And what they change: a call a counter of each ad that it has clicks of, and the sets of their visitors."""
    clicks_a_call = done["clicks"] / done["calls"]
    return {**done, "entries": done["calls"] * (min(ads / partitions, clicks_a_call) + clicks_a_call), "sums": sums(ads, partitions, done)}


def count(model, kind, rate, lanes, threads):
    """How many a second all lanes make: one lasts a while, longer the more lanes there are and the more clicks come meanwhile."""
    at_least, a_lane, a_click = model["lasts"][kind]
    idle = 1 - a_click * rate / threads
    seconds = min((at_least + a_lane * lanes) / idle, LASTS_SECONDS_MAX) if idle > 0 else LASTS_SECONDS_MAX
    return 1 / (1 / rate + seconds / lanes)


def cores(model, ads, rate, partitions, threads=None):
    return cores_for(model, work(model, ads, rate, partitions, threads))


def cores_for(model, done):
    return {part: sum(cost * done[kind] for kind, cost in model["costs"][part].items()) for part in PARTS}


def busy(model, ads, rate, partitions):
    """How much of the threads that it can have each part uses; at 1 it is full."""
    return busy_with(model, partitions, work(model, ads, rate, partitions))


def busy_with(model, partitions, done):
    used = cores_for(model, done)
    return {part: used[part] / (partitions if is_by_partition else 1) for part, is_by_partition in BY_PARTITION.items()}


def first_full(model, ads, partitions):
    """(the part that is full first, at which rate), by halving."""
    low, high = 1, 10_000_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if max(busy(model, ads, middle, partitions).values()) >= 1 else (middle, high)
    used = busy(model, ads, high, partitions)
    return max(used, key=used.get), high


def freshness(model, ads, rate, partitions, threads=None):
    """reader -> ms from a click to its row (counter), half of the time. None: a part is full; inf: and stays so with the largest batches."""
    threads = threads or math.ceil(rate / GATEWAY_THREAD_PER_SECOND)
    done = work(model, ads, rate, partitions, threads)
    now, at_best = (busy_with(model, partitions, each) for each in (done, with_changes(ads, partitions, {**done, **fewest_batches(ads, rate, partitions)})))
    message = partitions * threads * (1 / done["messages"] - 1 / rate)
    found = {}
    for reader, (kind, parts) in READERS.items():
        found[reader] = 1000 * (message + partitions * (1 / done[kind] - 1 / rate))
        if max(now[part] for part in parts) >= 1:
            found[reader] = None if max(at_best[part] for part in parts) < 1 else math.inf
    return found


def is_beyond(model, rate, partitions):
    """Whether an age is reckoned for more clicks a partition, or more partitions, each with a lane of each gateway thread, than were measured."""
    return rate / partitions > model["most"]["clicks"] or partitions * math.ceil(rate / GATEWAY_THREAD_PER_SECOND) > model["most"]["partitions"]


def memory(model, rate, partitions, threads=None, seconds=math.inf):
    """service -> MiB of one process of it, after so many seconds."""
    threads = threads or math.ceil(rate / GATEWAY_THREAD_PER_SECOND)
    rates = {**dict.fromkeys(SERVICES, rate), "gateway": rate / threads}
    return {service: sum(each * of for each, of in zip(model["memory"][service], held(service, rates[service], partitions, seconds))) for service in SERVICES}


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
             "rate x1, x10, x100": ((100, 5_000, 1), (100, 50_000, 1), (100, 50_000, 4), (100, 500_000, 64)),
             "partitions x1, x4, x10, x16, x64": tuple((100, 5_000, partitions) for partitions in (1, 4, 10, 16, 64)),
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
        print(f"\n{title}\n{heading}" + " ".join(f"{part:>9}" for part in PARTS) + "  cores  syncs/s  GB a day: events   WAL  rollups GB a year  stream GB  redis GB  MiB: gateway ingest analytics  ms: row counter  first full")
        for at in rows:
            used, size = cores(model, *at), {name: count / 1e9 for name, count in disk(results, model, *at).items()}
            part, rate = first_full(model, at[0], at[2])
            mib, doubt = memory(model, *at[1:]), "?" if is_beyond(model, *at[1:]) else ""
            row, counter = (age_text(ms, doubt) for ms in freshness(model, *at).values())
            print(f"{at[0]:>7} {at[1]:>8} {at[2]:>4}  " + " ".join(f"{used[part]:>9.2f}" for part in PARTS) +
                  f" {sum(used.values()):>6.1f} {work(model, *at)['messages']:>8.0f} {size['events']:>17.1f} {size['wal']:>5.0f} {size['rollups']:>17.1f} {size['stream']:>10.2f} {redis_bytes(results, *at[:2]) / 1e9:>9.2f}"
                  f" {mib['gateway']:>13.0f} {mib['ingest']:>6.0f} {mib['analytics']:>9.0f} {row:>8} {counter:>7}  {part} at {rate:,}/s")
    tell_deviations(model, [*results["points"], results["check"]], heading)


def age_text(ms, doubt):
    return "later" if ms is None else "no end" if ms == math.inf else f"{ms:.0f}{doubt}"


def tell_deviations(model, points, heading):
    print(f"\ncores: predicted, measured, and by how much that is off; the last row is of a point that nothing is fitted to\n{heading}" +
          " ".join(f"{part:>17}" for part in PARTS) + f"{'all':>20}")
    for point in points:
        used = cores(model, point["ads"], point["per_second"]["clicks"], point["partitions"], threads=1)
        pairs = [(used[part], point["cores"][part]) for part in PARTS]
        pairs.append(tuple(map(sum, zip(*pairs))))
        print(name_of(point) + " ".join(f"{ours:>5.2f} {theirs:>5.2f} {(ours - theirs) / max(theirs, 0.005):>+5.0%}" for ours, theirs in pairs))
    print(f"\nMiB of a process after {WARM_SECONDS + SECONDS} s, likewise; and ms to row and counter, the bucket in which half of them were, and by how much that is missed\n{heading}" +
          " ".join(f"{service:>17}" for service in SERVICES) + f"{'row':>20} {'counter':>19}")
    for point in points:
        rate, partitions = point["per_second"]["clicks"], point["partitions"]
        mib, ages = memory(model, rate, partitions, threads=1, seconds=WARM_SECONDS + SECONDS), freshness(model, point["ads"], rate, partitions, threads=1)
        print(name_of(point) + " ".join(f"{mib[name]:>5.1f} {point['memory_mib'][name]:>5.1f} {(mib[name] - point['memory_mib'][name]) / point['memory_mib'][name]:>+5.0%}" for name in SERVICES) +
              " ".join(compared(ages[reader], point["freshness_ms"][reader]["p50"]) for reader in READERS))


def name_of(point):
    return f"{point['ads']:>7} {point['per_second']['clicks']:>8.0f} {point['partitions']:>4}  "


def compared(ours, theirs):
    low, high, missed = missed_bucket(ours or 0, theirs)
    return f"{ours:>7.1f} {low:>3}-{high:<3} {missed:>+5.0%}" if ours and ours < math.inf else f"{age_text(ours, ''):>7} {low:>3}-{high:<3}      "


def missed_bucket(ours, theirs):
    """The bounds of the bucket in which the measured age is, and by which share of the nearer one ours is outside."""
    low, high = next(bounds for bounds in itertools.pairwise(AGES_MS) if theirs <= bounds[1])
    nearest = min(max(ours, low), high)
    return low, high, (ours - nearest) / nearest if ours != nearest else 0.0
