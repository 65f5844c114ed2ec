"""What chance alone would bring: the laws behind every p-value, in plain floating point.

Each function returns the probability of a result at least as far from what was expected, 0 to 1. Sources: Abramowitz
and Stegun 6.5 and 26.4 (chi-square), 26.5 and 26.7 (Student), Numerical Recipes 6.2 and 6.4 (the continued fractions),
Marsaglia, Tsang and Wang 2003 (both series of Kolmogorov's law), Benjamini and Hochberg 1995 (false discovery rate).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_EPSILON = 1e-16
_TINY = 1e-300
_ENOUGH = 50.0
"""From this smallest expected count on a share's law is told from the bell curve by nobody."""
_STEPS = 100_000


def normal_p(z: float) -> float:
    """Two-sided."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def chi_square_p(statistic: float, freedom: int) -> float:
    """The upper tail of the chi-square law: the regularised incomplete gamma function Q(freedom / 2, statistic / 2)."""
    if freedom <= 0 or statistic <= 0:
        return 1.0
    a, x = freedom / 2.0, statistic / 2.0
    if x < _TINY or math.isinf(x):
        return float(x < _TINY)
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    return 1.0 - scale * _gamma_series(a, x) if x < a + 1.0 else scale * _gamma_fraction(a, x)


def _gamma_series(a: float, x: float) -> float:
    term = total = 1.0 / a
    for n in range(1, _STEPS):
        term *= x / (a + n)
        total += term
        if term < total * _EPSILON:
            break
    return total


def _gamma_fraction(a: float, x: float) -> float:
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    found = d
    for n in range(1, _STEPS):
        numerator = -n * (n - a)
        b += 2.0
        d = 1.0 / _away_from_zero(numerator * d + b)
        c = _away_from_zero(b + numerator / c)
        found *= c * d
        if abs(c * d - 1.0) < _EPSILON * 4:
            break
    return found


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY


def student_p(t: float, freedom: float) -> float:
    """Two-sided: the regularised incomplete beta function of freedom / (freedom + t squared)."""
    if math.isinf(t):
        return 0.0
    x, y = freedom / (freedom + t * t), t * t / (freedom + t * t)
    if y < _TINY:
        return 1.0
    a, b = freedom / 2.0, 0.5
    scale = math.exp(_log_ratio(a) - math.lgamma(b) + a * math.log1p(-y) + b * math.log(y))
    if x < (a + 1.0) / (a + b + 2.0):
        return scale * _beta_fraction(a, b, x) / a
    return 1.0 - scale * _beta_fraction(b, a, y) / b


def _log_ratio(a: float) -> float:
    """log(gamma(a + 1/2) / gamma(a)); the difference of two large logarithms would lose its digits."""
    if a < 100.0:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return 0.5 * math.log(a) - 1.0 / (8.0 * a) + 1.0 / (192.0 * a**3) - 1.0 / (640.0 * a**5)


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    found = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for numerator in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + numerator * d)
            c = _away_from_zero(1.0 + numerator / c)
            found *= c * d
        if abs(c * d - 1.0) < _EPSILON * 4:
            break
    return found


def kolmogorov_p(distance: float, n: int, m: int) -> float:
    """Of the largest distance between two samples' distribution functions, by Kolmogorov's limit law with the effective
    size n * m / (n + m). On buckets the distance is at most the true one, and the p-value never too small."""
    if n <= 0 or m <= 0:
        return 1.0
    return kolmogorov_tail(distance * math.sqrt(n * m / (n + m)))


def kolmogorov_tail(x: float) -> float:
    if x <= 0.04:
        return 1.0
    if x < 1.0:
        terms = (math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(1, 20))
        return 1.0 - math.sqrt(2 * math.pi) / x * sum(terms)
    return min(1.0, 2.0 * sum(math.copysign(math.exp(-2.0 * k * k * x * x), k % 2 - 0.5) for k in range(1, 20)))


def shares_p(hits: int, n: int, other_hits: int, m: int) -> float:
    """Whether two shares differ, two-sided: exact (Fisher's test, the smaller tail doubled) while a cell is expected to
    hold fewer than 50, by the pooled normal law above."""
    total, all_hits = n + m, hits + other_hits
    if not n or not m or all_hits in (0, total):
        return 1.0
    if min(n, m) * min(all_hits, total - all_hits) / total < _ENOUGH:
        return _fisher_p(hits, n, all_hits, total)
    share = all_hits / total
    return normal_p((hits / n - other_hits / m) / math.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / m)))


def _fisher_p(hits: int, n: int, all_hits: int, total: int) -> float:
    least, most = max(0, n + all_hits - total), min(n, all_hits)
    # Each probability from the one before: no difference of large logarithms of factorials.
    i = np.arange(least, most, dtype=np.float64)
    steps = np.log((all_hits - i) * (n - i)) - np.log((i + 1.0) * (total - all_hits - n + i + 1.0))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    mass = np.exp(logs - logs.max())
    at = hits - least
    smaller = min(float(mass[: at + 1].sum()), float(mass[at:].sum()))
    return min(1.0, 2.0 * smaller / float(mass.sum()))


def means_p(mean: float, deviation: float, n: int, other_mean: float, other_deviation: float, m: int) -> float | None:
    """Whether two means differ, two-sided (Welch 1947); None below two values each."""
    if n < 2 or m < 2:
        return None
    a, b = deviation * deviation / n, other_deviation * other_deviation / m
    if a + b == 0 or not math.isfinite(a + b):
        return None if not math.isfinite(a + b) else float(mean == other_mean)
    freedom = (a + b) ** 2 / (a * a / (n - 1) + b * b / (m - 1)) if a * a + b * b > 0 else n + m - 2.0
    return student_p((mean - other_mean) / math.sqrt(a + b), freedom)


def beyond_p(beyond: int, n: int, m: int) -> float:
    """That the `beyond` most extreme of n + m exchangeable values are all among the n, whatever their distribution."""
    p = 1.0
    for i in range(min(beyond, n)):
        p *= (n - i) / (n + m - i)
        if p < 1e-30:
            return 0.0
    return p


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjusted by Benjamini and Hochberg: what is at most q has a false discovery rate of at most q among them."""
    if not p_values:
        return []
    p: npt.NDArray[np.float64] = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    ranked = p[order] * p.size / np.arange(1, p.size + 1)
    ranked = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    found = np.empty_like(ranked)
    found[order] = ranked
    return [float(each) for each in found]
