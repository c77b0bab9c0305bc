"""The rows: each stage starts its servers, measures in pairs, and stops them."""

import math
import os
import subprocess
import time

from . import clients
from .clients import RedisLoad, Value
from .machine import Failed, private_bytes
from .servers import Dormouse, Echo, Grpc, Postgres, Redis
from .table import Row

# Ratios ours / theirs that are wanted: at least for rates, at most for times and sizes.
TARGETS = {
    "check_redis": {1: None, 16: 1.8, 64: 2.0},
    "check_libuv": {1: 0.85, 16: 0.5, 64: None},
    "check_10m": 0.6,
    "set_always": {1: 2.0, 16: 2.0, 64: 2.0},
    "set_with_ids": 2.0,
    "commit_always": 1.5,
    "grpc": 4.0,
    "wakes_redis": 0.01,
    "wakes_redis_tuned": 0.01,
    "wakes_postgres": None,
    "turn_ms": 10.0,
    "wheel": 1 / 3,
    "wheel_bytes": 24,
    "restart": 0.1,
    "memory": 0.2,
}

DEPTHS = (1, 16, 64)
CONNECTIONS = 50
FAR_S = 30 * 86400


class Context:
    def __init__(self, shop, tools, report, size):
        self.shop, self.tools, self.report, self.size = shop, tools, report, size

        self._loaded = None

    def start(self, kind, **options):
        return kind(self.shop, self.tools, **options)

    def loaded(self):
        """One of ours with all keys, half of them asleep, which several stages use."""
        if self._loaded is None:
            server = self.start(Dormouse)
            clients.load(self.tools, server, self.size["keys"], 1000, 0.5, "30d")
            self._loaded = server
        return self._loaded

    def unload(self):
        if self._loaded is not None:
            self._loaded.stop()
            self._loaded = None


def redis_programs(load, seconds, row):
    """Redis by redis-benchmark; where that is the bottleneck, by the lean client as well, in
    a row of its own."""
    row.note = load.note
    programs, lines = {"redis": lambda: load.benchmark(seconds)}, [row]
    if load.bottleneck:
        programs["redis (lean client)"] = lambda: load.lean(seconds)
        lines.append(Row(row.what + ", lean client", "redis (lean client)"))
    return programs, lines


# ---- reads ------------------------------------------------------------------------------

def check(ctx):
    """Check against Redis GET and the bare libuv server."""
    keys, seconds = ctx.size["keys"], ctx.size["seconds"]
    ours = ctx.loaded()
    with ctx.start(Redis) as redis, ctx.start(Echo) as echo:
        redis.fill("key:", keys)
        for depth in DEPTHS:
            get = RedisLoad(ctx.tools, redis, "get", CONNECTIONS, depth, keys, seconds)
            what = f"Check, {CONNECTIONS} connections x {depth}"
            programs, lines = redis_programs(get, seconds, Row(
                what + " / Redis GET", "redis", target=TARGETS["check_redis"][depth]))
            ctx.report.pairs({
                "dormouse": lambda d=depth: clients.dormouse(ctx.tools, ours, CONNECTIONS, d,
                                                             seconds, keys),
                **programs,
                "libuv": lambda d=depth: clients.frames(ctx.tools, echo, CONNECTIONS, d,
                                                        seconds),
            }, lines + [Row(what + " / bare libuv frames", "libuv",
                            target=TARGETS["check_libuv"][depth])])


# ---- writes ------------------------------------------------------------------------------

def _durable(ctx, ours, redis, depth, row, mix, *more):
    keys, seconds = ctx.size["keys"], ctx.size["seconds"]

    def run_ours():
        return clients.dormouse(ctx.tools, ours, CONNECTIONS, depth, seconds, keys, "--mix", mix,
                                *more)

    def settled(program):
        def run():
            ours.settle()
            return program()
        return run

    put = RedisLoad(ctx.tools, redis, "set", CONNECTIONS, depth, keys, seconds)
    programs, lines = redis_programs(put, seconds, row)
    programs = {"dormouse": run_ours, **programs}
    ctx.report.pairs({name: settled(program) for name, program in programs.items()}, lines)


def changes(ctx):
    """Durable writes against Redis that syncs before it answers, and once a second."""
    keys, ours = ctx.size["keys"], ctx.loaded()
    with ctx.start(Redis, appendonly="yes", appendfsync="always") as redis:
        redis.fill("key:", keys)
        for depth in ctx.size["change_depths"]:
            row = Row(f"SetStatus, durable, {CONNECTIONS} x {depth} / Redis SET, fsync always",
                      "redis", target=TARGETS["set_always"][depth])
            _durable(ctx, ours, redis, depth, row, "set=1", "--no-request-ids")
        row = Row("SetStatus with request ids (remembered durably), 50 x 16 / Redis SET, fsync "
                  "always", "redis", target=TARGETS["set_with_ids"])
        _durable(ctx, ours, redis, 16, row, "set=1")
        row = Row("CommitReply with request ids, durable, Zipf 0.99, 50 x 16 / Redis SET, fsync "
                  "always", "redis", target=TARGETS["commit_always"])
        _durable(ctx, ours, redis, 16, row, "commit=1", "--zipf", 0.99, "--fences")
    if not ctx.size["everysec"]:
        return
    with ctx.start(Redis, appendonly="yes", appendfsync="everysec") as redis:
        redis.fill("key:", keys)
        row = Row("SetStatus, durable, 50 x 16 / Redis SET, fsync once a second (may lose it)",
                  "redis")
        _durable(ctx, ours, redis, 16, row, "set=1", "--no-request-ids")


# ---- the other protocols ----------------------------------------------------------------

def grpc(ctx):
    """Check over gRPC against what a team would write in C++."""
    keys, seconds = ctx.size["keys"], ctx.size["seconds"]
    body = clients.check_body(ctx.shop.folder)
    ours = ctx.loaded()
    with ctx.start(Grpc, contacts=keys) as theirs:
        clients.set_the_contact(ours)
        for server in (ours, theirs):
            clients.expect_grpc_ok(server, body)
        ctx.report.pairs({
            "dormouse": lambda: clients.h2load(ours, body, 16, 16, seconds),
            "grpc": lambda: clients.h2load(theirs, body, 16, 16, seconds),
        }, [Row("Check over gRPC, h2load 16 x 16 / gRPC C++ callback server, map in memory",
                "grpc", target=TARGETS["grpc"])])


def connect(ctx):
    """A figure: there is no peer for it."""
    script = os.path.join(ctx.tools.root, "bench", "peers", "connect.lua")
    ours = ctx.loaded()
    ctx.report.pairs({
        "dormouse": lambda: clients.wrk(ours, script, 16, ctx.size["seconds"])},
        [Row("Check by HTTP/1.1 Connect POST, wrk, 16 connections")])
    ctx.unload()


# ---- wakes ----------------------------------------------------------------------------------

def turn_quantile(before, after, quantile):
    """The upper bound, in ms, of the bucket that holds the quantile of the turns between
    two scrapes."""
    prefix = 'dormouse_loop_turn_seconds_bucket{le="'
    counts = []
    for name, value in after.items():
        if name.startswith(prefix):
            bound = name[len(prefix):-2]
            counts.append((math.inf if bound == "+Inf" else float(bound),
                           value - before.get(name, 0)))
    counts.sort()
    total = counts[-1][1]
    bound = next(bound for bound, count in counts if count >= total * quantile)
    if bound == math.inf:  # past the last bucket
        bound = after["dormouse_loop_longest_turn_seconds"]
    return bound * 1000


def _our_wakes(ctx, ours, size, turns=None):
    ours.settle()
    before = ours.metrics()
    value = clients.wakes(ctx.tools, ours, size["due"], size["within_s"],
                          size["our_start_in_s"], size["checks"], size["patience_s"])
    after = ours.metrics()
    if turns is not None:
        turns.append(turn_quantile(before, after, 0.999))
        value.raw["turn_p999_ms"] = turns[-1]
        value.raw["longest_turn_ms"] = after["dormouse_loop_longest_turn_seconds"] * 1000
    return value


def _their_wakes(ctx, redis, size):
    return clients.expiries(ctx.tools, redis, size["due"], size["within_s"],
                            size["start_in_s"], size["checks"], size["patience_s"])


def _describe(size):
    return (f"{size['due']:,} due in {size['within_s']} s, {size['far']:,} more asleep for days, "
            f"{size['checks']:,} reads/s")


def wakes(ctx):
    """The same number asleep for days as is due; default settings."""
    size = ctx.size["wakes"]
    turns = []
    with ctx.start(Dormouse) as ours:
        clients.load(ctx.tools, ours, size["far"], 1000, 1, "30d")
        with ctx.start(Redis, notify_keyspace_events="Ex") as redis:
            redis.fill("far:", size["far"], 1, FAR_S)
            ctx.report.pairs({
                "dormouse": lambda: _our_wakes(ctx, ours, size, turns),
                "redis": lambda: _their_wakes(ctx, redis, size)},
                [Row(f"wake lag p99, {_describe(size)} / Redis expired events", "redis", "ms",
                     False, TARGETS["wakes_redis"])])
        row = Row("loop turn p99.9 during those bursts (its bucket's bound)", None, "ms", False,
                  TARGETS["turn_ms"])
        row.ours = turns
        ctx.report.add(row)
        small = ctx.size["wakes_postgres"]
        with ctx.start(Postgres) as postgres:
            fill_postgres(postgres, small["far"])
            ctx.report.pairs({
                "dormouse": lambda: _our_wakes(ctx, ours, small),
                "postgres": lambda: postgres_wakes(postgres, small)},
                [Row(f"wake lag p99, {_describe(small)} (PostgreSQL: no reads) / PostgreSQL, "
                     "index and SKIP LOCKED worker", "postgres", "ms", False,
                     TARGETS["wakes_postgres"])])


def wakes_many(ctx):
    """Many more asleep than due; Redis tuned for expiry. Memory of the sleeping, too."""
    size = ctx.size["wakes_many"]
    tuned = {"notify_keyspace_events": "Ex", "hz": 100, "active_expire_effort": 10}
    with ctx.start(Dormouse) as ours, ctx.start(Redis, **tuned) as redis:
        base = private_bytes(ours.pid), private_bytes(redis.pid)
        clients.load(ctx.tools, ours, size["far"], 5000, 1, "30d")
        redis.fill("far:", size["far"], 1, FAR_S)
        time.sleep(ctx.size["rest_s"])
        row = Row(f"private memory a contact, {size['far']:,} asleep / Redis with TTLs",
                  "redis", "bytes", False, TARGETS["memory"])
        row.ours = [(private_bytes(ours.pid) - base[0]) / size["far"]]
        row.theirs = [(private_bytes(redis.pid) - base[1]) / size["far"]]
        ctx.report.add(row)
        ctx.report.pairs({
            "dormouse": lambda: _our_wakes(ctx, ours, size),
            "redis": lambda: _their_wakes(ctx, redis, size)},
            [Row(f"wake lag p99, {_describe(size)} / Redis expired events, hz 100, effort 10",
                 "redis", "ms", False, TARGETS["wakes_redis_tuned"])])


# ---- PostgreSQL ------------------------------------------------------------------------------

SCHEMA = """
create table contacts (id bigint primary key, status smallint not null, wake_at timestamptz,
                       woke_at timestamptz);
insert into contacts select i, 2, now() + interval '30 days' * (0.1 + random())
  from generate_series(1, {far}) i;
create index contacts_wake_at on contacts (wake_at) where status = 2;
create procedure work(until timestamptz) language plpgsql as $$
declare moved bigint;
begin
  loop
    with due as (select id from contacts where status = 2 and wake_at <= clock_timestamp()
                 order by wake_at limit 1000 for update skip locked)
    update contacts c set status = 1, woke_at = clock_timestamp() from due where c.id = due.id;
    get diagnostics moved = row_count;
    commit;
    exit when clock_timestamp() > until;
    if moved = 0 then
      perform pg_sleep(0.05);
      exit when not exists (select from contacts where status = 2 and wake_at <= until);
    end if;
  end loop;
end $$;
vacuum analyze contacts;
"""

DUE = """
delete from contacts where id < 0;
insert into contacts select -i, 2,
    now() + interval '1 second' * ({start_in_s} + {within_s} * random())
  from generate_series(1, {due}) i;
vacuum analyze contacts;
call work(clock_timestamp() + interval '1 second' * ({start_in_s} + {within_s} + {patience_s}));
select coalesce(percentile_disc(0.99) within group (order by
         extract(epoch from coalesce(woke_at, clock_timestamp()) - wake_at)), 0) * 1000,
       count(*) filter (where status = 2),
       coalesce(max(extract(epoch from woke_at - wake_at)), 0) * 1000
  from contacts where id < 0;
"""


def fill_postgres(postgres, far):
    postgres.psql(SCHEMA.format(far=far))


def postgres_wakes(postgres, size):
    """The worker runs in the server, without a client's round trips, and its lag is that of
    the update, before the commit and before anyone hears of it: both in its favour."""
    patience_s = size["patience_s"]
    told = postgres.psql(DUE.format(due=size["due"], within_s=size["within_s"],
                                    start_in_s=size["start_in_s"], patience_s=patience_s),
                         timeout=size["start_in_s"] + size["within_s"] + patience_s + 120)
    p99, missing, longest = told.splitlines()[-1].split("|")
    return Value(float(p99), missing=int(missing), max_ms=float(longest))


# ---- ten million -------------------------------------------------------------------------------

def _restart(server):
    """Seconds from exec to the first answer, with all that it had."""
    server.stop()
    return Value(server.start(timeout=300))


def many(ctx):
    """10,000,000 contacts: Check beside 10,000 of them, and the restart."""
    size, seconds = ctx.size["many"], ctx.size["seconds"]
    contacts, few = size["contacts"], size["few"]

    def checks(server, keys, accounts, seconds=seconds):
        return clients.dormouse(ctx.tools, server, 50, 16, seconds, keys, "--accounts", accounts)

    with ctx.start(Dormouse) as large:
        clients.load(ctx.tools, large, contacts, 10000, 0.5, "30d", timeout=1200)
        what = f"Check, 50 x 16, {contacts:,} contacts"
        ctx.report.pairs({"dormouse": lambda: checks(large, contacts, 10000)},
                         [Row(what + ", none asked for since the load")], rounds=1)
        # In its first moments the few are all asked for many times; so here, about once each.
        checks(large, contacts, 10000, size["warm_s"])
        with ctx.start(Dormouse) as small:
            clients.load(ctx.tools, small, few, 10, 0.5, "30d")
            ctx.report.pairs({
                "dormouse": lambda: checks(large, contacts, 10000),
                "few": lambda: checks(small, few, 10),
            }, [Row(f"{what} / itself with {few:,}", "few", target=TARGETS["check_10m"])])
        with ctx.start(Redis, appendonly="yes", appendfsync="everysec") as redis:
            redis.fill("key:", contacts, 0.5, FAR_S)
            redis.rewrite()
            ctx.report.pairs({"dormouse": lambda: _restart(large),
                              "redis": lambda: _restart(redis)},
                             [Row(f"restart with {contacts:,} contacts, half asleep / Redis "
                                  "loading as many keys", "redis", "s", False,
                                  TARGETS["restart"])])


# ---- the wheel ------------------------------------------------------------------------------------

def wheel(ctx):
    """Against the best of libuv's timers, a binary heap and std::multimap, found first."""
    count, trial = ctx.size["timers"], ctx.size["timers_trial"]

    def peer(name, timers):
        return clients.timers([ctx.tools.peer("peer_timers"), name, timers, 10])

    trials = {name: peer(name, trial) for name in ("libuv", "heap", "multimap")}
    for name, value in trials.items():
        ctx.report.line({"row": f"{trial:,} timers, once", "program": name,
                         "value": value.number, "unit": "ns", **value.raw})
    best = min(trials, key=lambda name: trials[name].number)
    small = min(trials.values(), key=lambda value: value.raw["bytes_per_timer"])
    sizes = []

    def ours():
        value = clients.timers([ctx.tools.build("wheel_bench"), count, 10])
        sizes.append(value.raw["bytes_per_timer"])
        return value

    others = ", ".join(f"{name} {value.number:,.0f}" for name, value in trials.items())
    ctx.report.pairs({"dormouse": ours, best: lambda: peer(best, count)},
                     [Row(f"wheel, {count:,} timers, 10 ms ticks: insert + re-arm + cancel + "
                          f"expire / the best of its peers", best, "ns", False,
                          TARGETS["wheel"], f"ns at {trial:,}: {others}")])
    row = Row("wheel, bytes a timer / the smallest of its peers", "smallest", "bytes", False,
              TARGETS["wheel_bytes"])
    row.ours, row.theirs = sizes, [small.raw["bytes_per_timer"]] * len(sizes)
    ctx.report.add(row)


# ---- all of them -------------------------------------------------------------------------------

STAGES = {"check": check, "changes": changes, "grpc": grpc, "connect": connect, "wheel": wheel,
          "wakes": wakes, "wakes_many": wakes_many, "many": many}
FULL_ONLY = ("wakes_many", "many")


def _wakes(due, far, within_s, start_in_s, our_start_in_s, checks, patience_s):
    return {"due": due, "far": far, "within_s": within_s, "start_in_s": start_in_s,
            "our_start_in_s": our_start_in_s, "checks": checks, "patience_s": patience_s}


SIZES = {
    "full": {
        # rest_s: until memory that was taken for the load has been given back.
        "keys": 1000000, "seconds": 3, "rest_s": 40, "change_depths": DEPTHS, "everysec": True,
        "timers": 10000000, "timers_trial": 1000000,
        "wakes": _wakes(1000000, 1000000, 10, 12, 25, 5000, 35),
        "wakes_postgres": _wakes(100000, 1000000, 10, 5, 7, 5000, 30),
        "wakes_many": _wakes(100000, 5000000, 10, 3, 7, 5000, 25),
        "many": {"contacts": 10000000, "few": 10000, "warm_s": 20}, "budget_s": 2400,
    },
    "quick": {
        "keys": 1000000, "seconds": 0.6, "change_depths": (16,), "everysec": False,
        "timers": 1000000, "timers_trial": 200000,
        "wakes": _wakes(30000, 30000, 2, 1, 2, 2000, 10),
        "wakes_postgres": _wakes(10000, 30000, 2, 1, 2, 2000, 5), "budget_s": 300,
    },
    # Says nothing but that the machinery works.
    "smoke": {
        "keys": 20000, "seconds": 0.3, "rest_s": 0.3, "change_depths": (16,), "everysec": True,
        "timers": 20000, "timers_trial": 20000,
        "wakes": _wakes(2000, 2000, 0.5, 0.5, 2, 500, 5),
        "wakes_postgres": _wakes(1000, 2000, 0.5, 0.5, 2, 500, 5),
        "wakes_many": _wakes(2000, 20000, 0.5, 0.5, 2, 500, 5),
        "many": {"contacts": 50000, "few": 1000, "warm_s": 0.3}, "budget_s": 300,
    },
}


def run(ctx, names):
    for name in names:
        if ctx.report.out_of_time():
            ctx.report.fail(name, "out of time")
            continue
        ctx.report.say(name + ": " + (STAGES[name].__doc__ or "").split("\n")[0])
        began = time.monotonic()
        try:
            STAGES[name](ctx)
        except (Failed, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
            ctx.report.fail(name, f"{type(error).__name__}: {error}")
        ctx.report.say(f"{name} took {time.monotonic() - began:.0f} s")
