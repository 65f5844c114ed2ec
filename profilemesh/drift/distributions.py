"""How far two distributions are apart, and whether chance explains it: from counts in cells that line up.

A measure tells how much (Siddiqi 2006 for the population stability index, Lin 1991 for Jensen-Shannon, Cohen 1988 for
w), a test whether two samples of these sizes from one source would be as far apart. Two samples of one source always
are a little: (cells - 1) * (1/n + 1/m) of the index on average (Yurdakul 2018), which is taken off before the effect
is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from profilemesh.config.model import Method
from profilemesh.drift.chance import chi_square_p, kolmogorov_p
from profilemesh.profiling.sketches import Integers, LogHistogram

Counts = npt.NDArray[np.float64]
BINS = 10
LEAST = 5.0
"""Values that a cell is expected to hold in the smaller sample, as the chi-square law wants it (Cochran 1954)."""


@dataclass(frozen=True, slots=True)
class Distance:
    """`effect` is what is judged, `statistic` as the textbooks have it."""

    method: Method
    statistic: float
    effect: float
    p_value: float


def aligned(before: LogHistogram, now: LogHistogram) -> tuple[Counts, Counts]:
    """The counts of two samples by the keys of either, in the order of the keys."""
    keys = np.concatenate((before.keys, now.keys))
    # Two runs that rise already, which a stable sort only merges.
    keys.sort(kind="stable")
    keys = keys[np.concatenate((_FIRST[: keys.size], keys[1:] != keys[:-1]))]
    return _spread(keys, before), _spread(keys, now)


_FIRST = np.ones(1, np.bool_)


def _spread(keys: Integers, some: LogHistogram) -> Counts:
    found = np.zeros(keys.size)
    found[np.searchsorted(keys, some.keys)] = some.sizes
    return found


def aligned_values(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[Counts, Counts]:
    """The same for counts by value, in the order of the values."""
    keys = sorted(before.keys() | now.keys())
    old = np.fromiter((before.get(key, 0) for key in keys), np.float64, len(keys))
    return old, np.fromiter((now.get(key, 0) for key in keys), np.float64, len(keys))


def binned(before: Counts, now: Counts, bins: int = BINS) -> tuple[Counts, Counts]:
    """Neighbouring cells put together to at most so many bins, each about as full as the others in the two samples
    together, and full enough in the smaller one. Where the borders lie does not depend on how the samples differ."""
    both = before + now
    total = both.sum()
    if not total:
        return before[:0], now[:0]
    middle = np.cumsum(both) - both / 2.0
    steps = np.floor(middle / total * bins)
    place = np.concatenate(([0], np.cumsum(steps[1:] != steps[:-1])))
    old = np.bincount(place, weights=before).astype(np.float64)
    new = np.bincount(place, weights=now).astype(np.float64)
    return _filled(old, new, LEAST * total / max(1.0, min(before.sum(), now.sum())))


def _filled(old: Counts, new: Counts, least: float) -> tuple[Counts, Counts]:
    """Bins with fewer than `least` values joined with the one before, the first with the one behind."""
    pairs: list[list[float]] = []
    for a, b in zip(old.tolist(), new.tolist(), strict=True):
        if pairs and (a + b < least or sum(pairs[-1]) < least):
            pairs[-1] = [pairs[-1][0] + a, pairs[-1][1] + b]
        else:
            pairs.append([a, b])
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def grouped(before: Counts, now: Counts) -> tuple[Counts, Counts]:
    """Cells without an order: the rare ones together in a last one."""
    both = before + now
    least = LEAST * both.sum() / max(1.0, min(before.sum(), now.sum()))
    rare = both < least
    if rare.sum() < 2:
        return before, now
    return np.append(before[~rare], before[rare].sum()), np.append(now[~rare], now[rare].sum())


def psi(before: Counts, now: Counts) -> float:
    """The population stability index: the sum of (q - p) * log(q / p). Where a cell of one sample is empty, half a
    value is added to each."""
    p, q = _shares(before, now, 0.5)
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(before: Counts, now: Counts) -> float:
    """The square root of the Jensen-Shannon divergence to base 2: 0 for equal, 1 for disjoint distributions."""
    p, q = _shares(before, now, 0.0)
    middle = (p + q) / 2.0
    return math.sqrt(max(0.0, (_entropy(middle) - (_entropy(p) + _entropy(q)) / 2.0) / math.log(2.0)))


def _entropy(p: Counts) -> float:
    some = p[p > 0]
    return -float(np.sum(some * np.log(some)))


def cohen_w(before: Counts, now: Counts) -> float:
    """Cohen's w of the two distributions about the one in the middle between them: it does not hang on the sizes."""
    p, q = _shares(before, now, 0.0)
    middle = (p + q) / 2.0
    some = middle > 0
    return math.sqrt(float(np.sum((q - p)[some] ** 2 / middle[some])))


def ks(before: Counts, now: Counts) -> float:
    """The largest distance between the two distribution functions at the borders of the cells."""
    return float(np.abs(np.cumsum(before) / before.sum() - np.cumsum(now) / now.sum()).max())


def chi_square(before: Counts, now: Counts) -> tuple[float, int]:
    """Pearson's statistic of homogeneity and its degrees of freedom."""
    both = before + now
    some = both > 0
    n, m = before.sum(), now.sum()
    expected = both[some] * (n / (n + m))
    others = both[some] * (m / (n + m))
    found = np.sum((before[some] - expected) ** 2 / expected) + np.sum((now[some] - others) ** 2 / others)
    return float(found), int(some.sum()) - 1


def _shares(before: Counts, now: Counts, smoothing: float) -> tuple[Counts, Counts]:
    if smoothing and (not before.all() or not now.all()):
        before, now = before + smoothing, now + smoothing
    return before / before.sum(), now / now.sum()


def distances(before: Counts, now: Counts, methods: Iterable[Method], *, ordered: bool) -> list[Distance]:
    """The distances by these methods, as far as they suit: an order is needed for the index and KS, none for w.

    Nothing where a sample is empty."""
    n, m = before.sum(), now.sum()
    if not n or not m:
        return []
    cells = binned(before, now) if ordered else grouped(before, now)
    statistic, freedom = chi_square(*cells)
    p_value = chi_square_p(statistic, freedom)
    by_chance = freedom * (1.0 / n + 1.0 / m)
    found: list[Distance] = []
    for method in methods:
        if method == "psi" and ordered:
            found.append(_less(method, psi(*cells), by_chance, p_value))
        elif method == "ks" and ordered:
            distance = ks(before, now)
            found.append(Distance(method, distance, distance, kolmogorov_p(distance, int(n), int(m))))
        elif method == "jensen_shannon":
            found.append(_less_squared(method, jensen_shannon(*cells), by_chance / (8.0 * math.log(2.0)), p_value))
        elif method == "chi_square" and not ordered:
            found.append(_less_squared(method, cohen_w(*cells), by_chance, p_value))
    return found


def _less(method: Method, statistic: float, by_chance: float, p_value: float) -> Distance:
    return Distance(method, statistic, max(0.0, statistic - by_chance), p_value)


def _less_squared(method: Method, statistic: float, by_chance: float, p_value: float) -> Distance:
    return Distance(method, statistic, math.sqrt(max(0.0, statistic * statistic - by_chance)), p_value)
