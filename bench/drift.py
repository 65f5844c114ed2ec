"""What the search for drift finds and what it takes for drift by mistake: one line per claim, with its goal.

(a) Unchanged pairs of 100 to 1,000,000 rows: two samples of one source, or a table and what it has grown to; the share
with a finding. (b) The same tables with a history of 30 runs. (c) Shifted pairs of 10,000 rows: the share in which the
shift is found in its column. (d) 10,000 tables of 20 columns and 30 earlier runs compared in one tick: time and memory.
Default settings throughout; exit code 1 if a goal is missed. `--pairs`, `--histories`, `--shifted`, `--tables`
for less of it, 0 for none.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from _arrays import COLUMNS, Population, Values, summary_of

from profilemesh.config.model import DriftConfig
from profilemesh.drift import Comparison, Profile, compare, profile_of, reference_run, rules_for
from profilemesh.profiling.summary import TableSummary
from profilemesh.tables import TableRef

PAIRS, SHIFTED, TABLES = 2000, 1000, 10_000
LEAST_ROWS, MOST_ROWS, POWER_ROWS = 100, 1_000_000, 10_000
RUNS = 30
FALSE_GOAL, POWER_GOAL, SECONDS_GOAL, GROWTH_GOAL_MB = 2.0, 95.0, 90.0, 20.0
WORKERS = 2
TABLE = TableRef("bench", "main", "made_up")
RULES = rules_for(DriftConfig(), TABLE)
START = datetime(2026, 1, 5, 5, tzinfo=UTC)
DAY = timedelta(days=1)

Columns = dict[str, Values]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=PAIRS)
    options.add_argument("--histories", type=int, default=None, help="default: a tenth of the pairs")
    options.add_argument("--shifted", type=int, default=SHIFTED)
    options.add_argument("--tables", type=int, default=TABLES)
    options.add_argument("--most-rows", type=int, default=MOST_ROWS)
    given = options.parse_args()
    histories = given.pairs // 10 if given.histories is None else given.histories
    with ProcessPoolExecutor(WORKERS) as pool:
        good = [
            *(unchanged(pool, given.pairs, given.most_rows) if given.pairs else ()),
            *(unchanged_histories(pool, histories) if histories else ()),
            *(shifted(pool, given.shifted) if given.shifted else ()),
            *(scale(pool, given.tables) if given.tables else ()),
        ]
    sys.exit(0 if all(good) else 1)


# (a) unchanged pairs


def unchanged(pool: ProcessPoolExecutor, pairs: int, most: int) -> Iterator[bool]:
    for how in ("resampled", "grown"):
        seeds = range(pairs) if how == "resampled" else range(pairs, 2 * pairs)
        found = [
            names for names in pool.map(unchanged_pair, seeds, [how] * pairs, [most] * pairs, chunksize=10) if names
        ]
        share = 100.0 * len(found) / max(1, pairs)
        told = dict(Counter(name for names in found for name in names))
        what = f"{pairs:,} unchanged pairs, {how}: with a finding"
        yield claim(what, share, "%", FALSE_GOAL, told)


def unchanged_pair(seed: int, how: str, most: int) -> list[str]:
    random = np.random.default_rng(seed)
    population = Population.drawn(random)
    n = int(np.exp(random.uniform(np.log(LEAST_ROWS), np.log(most))))
    before = summary_of(population.rows(random, n))
    if how == "grown":
        more = max(1, int(n * np.exp(random.uniform(np.log(0.0005), np.log(0.15)))))
        now = before.merge(summary_of(population.rows(random, more, first=n + 1, day=20_001)))
    else:
        now = summary_of(population.rows(random, int(n * random.uniform(0.97, 1.03)), day=20_001))
    return names_of(compared(before, now))


def compared(before: TableSummary, now: TableSummary) -> Comparison:
    history = [profile_of(before, run_id="before", at=START, columns=COLUMNS)]
    current = profile_of(now, run_id="now", at=START + DAY, columns=COLUMNS)
    return compare(TABLE, current, history, RULES)


def names_of(found: Comparison) -> list[str]:
    return [f"{finding.column or '(table)'}.{finding.metric}" for finding in found.findings]


# (b) unchanged histories


def unchanged_histories(pool: ProcessPoolExecutor, tables: int) -> Iterator[bool]:
    kinds = ("replaced", "growing", "rolling")
    for kind in kinds:
        found = list(pool.map(unchanged_history, range(tables), [kind] * tables, chunksize=5))
        runs, false = sum(runs for runs, _ in found), [names for _, some in found for names in some]
        told = dict(Counter(name for names in false for name in names))
        yield claim(
            f"{runs:,} runs of {tables:,} unchanged {kind} tables with a history: with a finding",
            100.0 * len(false) / max(1, runs),
            "%",
            FALSE_GOAL,
            told,
        )


def unchanged_history(seed: int, kind: str) -> tuple[int, list[list[str]]]:
    """Thirty days with a week's pattern of volume, and in each table another mix of values from day to day."""
    random = np.random.default_rng(10_000_000 + seed)
    population = Population.drawn(random)
    size = int(np.exp(random.uniform(np.log(LEAST_ROWS), np.log(5_000))))
    days: list[TableSummary] = []
    history: list[Profile] = []
    found: list[list[str]] = []
    first = 1
    for day in range(RUNS + 7):
        weekly = (1.0, 1.05, 1.0, 0.95, 1.1, 0.6, 0.5)[day % 7]
        n = max(20, int(size * weekly * random.uniform(0.95, 1.05)))
        days.append(summary_of(population.rows(random, n, first=first, day=20_000 + day)))
        first += n
        if day < 7:
            continue
        whole = days[-1] if kind == "replaced" else merged(days if kind == "growing" else days[-7:])
        if kind == "growing":
            days = [whole]
        profile = profile_of(whole, run_id=f"run-{day}", at=START + day * DAY, columns=COLUMNS)
        found.append(names_of(compare(TABLE, profile, history, RULES)))
        history.append(profile)
    return len(found), [names for names in found if names]


def merged(summaries: Sequence[TableSummary]) -> TableSummary:
    whole, *others = summaries
    for other in others:
        whole = whole.merge(other)
    return whole


# (c) shifted pairs


def with_mean(random: np.random.Generator, columns: Columns, population: Population) -> str:
    name = ("measure", "amount")[int(random.integers(2))]
    x = columns[name].values
    columns[name] = replace(columns[name], values=x + 0.2 * x.std())
    return name


def with_nulls(random: np.random.Generator, columns: Columns, population: Population) -> str:
    email = columns["email"]
    share = 0.02 / (1.0 - population.null_share)
    columns["email"] = replace(email, nulls=email.nulls | (random.random(email.nulls.size) < share))
    return "email"


def with_category(random: np.random.Generator, columns: Columns, population: Population) -> str:
    """One of at least 5 % and at most 40 %; the others lose in proportion."""
    some = [place for place, share in enumerate(population.shares) if 0.05 <= share <= 0.4] or [1]
    place = some[int(random.integers(len(some)))]
    old = population.shares[place]
    shares = np.array(population.shares) * (1.0 - 2.0 * old) / (1.0 - old)
    shares[place] = 2.0 * old
    category = columns["category"]
    columns["category"] = replace(category, values=random.choice(shares.size, category.values.size, p=shares))
    return "category"


def with_variance(random: np.random.Generator, columns: Columns, population: Population) -> str:
    name = ("measure", "amount")[int(random.integers(2))]
    x = columns[name].values
    columns[name] = replace(columns[name], values=x.mean() + (x - x.mean()) * np.sqrt(1.5))
    return name


def without_half(random: np.random.Generator, columns: Columns, population: Population) -> str:
    n = columns["id"].values.size // 2
    for name, column in columns.items():
        columns[name] = replace(column, values=column.values[:n], nulls=column.nulls[:n])
    return ""


SHIFTS: dict[str, Callable[[np.random.Generator, Columns, Population], str]] = {
    "mean by 0.2 deviations": with_mean,
    "null share by 2 points": with_nulls,
    "one category doubled": with_category,
    "variance by 1.5": with_variance,
    "half the rows missing": without_half,
}


def shifted(pool: ProcessPoolExecutor, pairs: int) -> Iterator[bool]:
    for what in SHIFTS:
        for how in ("resampled", "grown"):
            found = list(pool.map(shifted_pair, range(pairs), [what] * pairs, [how] * pairs, chunksize=10))
            power = 100.0 * sum(hit for hit, _ in found) / max(1, pairs)
            others = 100.0 * sum(other for _, other in found) / max(1, pairs)
            told = {"others named": f"{others:.1f} %"} if others else {}
            yield claim(f"{what}, {POWER_ROWS:,} rows, {how}: found", power, "%", POWER_GOAL, told, at_least=True)


def shifted_pair(seed: int, what: str, how: str) -> tuple[bool, bool]:
    """Whether the shift was found, and whether a finding names another column. Grown: the same rows, and some more."""
    random = np.random.default_rng(20_000_000 + seed)
    population = Population.drawn(random)
    before = population.rows(random, POWER_ROWS)
    old = summary_of(before)
    if how == "grown":
        more = population.rows(random, POWER_ROWS // 100, first=POWER_ROWS + 1, day=20_001)
        now = {name: joined(column, more[name]) for name, column in before.items()}
    else:
        now = population.rows(random, POWER_ROWS, day=20_001)
    column = SHIFTS[what](random, now, population)
    named = [each.column for each in compared(old, summary_of(now)).findings]
    return column in named, any(name != column for name in named)


def joined(a: Values, b: Values) -> Values:
    return replace(a, values=np.concatenate((a.values, b.values)), nulls=np.concatenate((a.nulls, b.nulls)))


# (d) scale


def scale(pool: ProcessPoolExecutor, tables: int) -> Iterator[bool]:
    began = time.monotonic()
    grown = list(pool.map(many_compared, [tables // WORKERS] * WORKERS, range(WORKERS)))
    seconds = time.monotonic() - began - max(made for _, made, _ in grown)
    found = sum(findings for _, _, findings in grown)
    what = f"{tables:,} tables of 20 columns, {RUNS} earlier runs"
    yield claim(f"{what}, {WORKERS} processes", seconds, "s", SECONDS_GOAL, {"findings": found})
    yield claim(f"{what}, memory grown by", max(mb for mb, _, _ in grown), "MB", GROWTH_GOAL_MB)


def many_compared(tables: int, worker: int) -> tuple[float, float, int]:
    """Peak memory grown while all but the first hundred were compared, seconds of making the tables, findings.

    The reference's summary comes as bytes, as storage keeps it; the runs' numbers are made anew for every table.
    """
    began = time.monotonic()
    library = [wide_table(seed) for seed in range(8)]
    made = time.monotonic() - began
    found, start = 0, 0.0
    for number in range(tables):
        payload, before, current = library[(number + worker) % len(library)]
        history = [wide_run(before, run) for run in range(RUNS)]
        summary = TableSummary.from_bytes(payload)
        table = TableRef("bench", "main", f"t{number}")
        rules = rules_for(DriftConfig(), table)
        assert reference_run(current, history, rules)
        found += len(compare(table, current, history, rules, summary=summary).findings)
        if number == min(100, tables // 2):
            start = peak_mb()
    return peak_mb() - start, made, found


def wide_table(seed: int) -> tuple[bytes, Profile, Profile]:
    random = np.random.default_rng(30_000_000 + seed)
    sides = ([], [])  # type: tuple[list[Columns], list[Columns]]
    for _ in range(3):
        population = Population.drawn(random)
        for side in sides:
            side.append(population.rows(random, 20_000))
    before, now = (
        summary_of(
            {
                f"{name}_{part}": c
                for part, some in enumerate(side)
                for name, c in list(some.items())[: 7 if part < 2 else 6]
            }
        )
        for side in sides
    )
    current = profile_of(now, run_id="now", at=START + RUNS * DAY)
    return before.to_bytes(), profile_of(before, run_id="before", at=START), current


def wide_run(profile: Profile, run: int) -> Profile:
    """Every number a little off, those of one column in five by up to a fifth."""
    swing = ((run * 7919) % 13 - 6) / 6
    metrics = {
        column: {
            name: value * (1.0 + scale * swing) if isinstance(value, float) else value for name, value in some.items()
        }
        for place, (column, some) in enumerate(profile.metrics.items())
        for scale in (0.2 if place % 5 == 0 else 0.01,)
    }
    return replace(profile, run_id=f"run-{run}", at=START + run * DAY, metrics=metrics, summary=None)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def claim(what: str, found: float, unit: str, goal: float, told: object = None, *, at_least: bool = False) -> bool:
    good = found >= goal if at_least else found <= goal
    sign = "at least" if at_least else "at most"
    more = f"  {told}" if told else ""
    print(f"{'ok  ' if good else 'MISS'} {what} {found:,.2f} {unit} ({sign} {goal:g} {unit}){more}", flush=True)
    return good


if __name__ == "__main__":
    main()
