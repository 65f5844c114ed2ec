"""The laws of chance are scipy's, to 1e-9."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from profilemesh.drift import chance

NEAR = {"rel": 1e-9, "abs": 1e-12}


@given(st.floats(0, 5000), st.integers(1, 2000))
def test_chi_square(x: float, freedom: int) -> None:
    assert chance.chi_square_p(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), **NEAR)


@given(st.floats(0, 10))
def test_kolmogorov(x: float) -> None:
    assert chance.kolmogorov_tail(x) == pytest.approx(stats.kstwobign.sf(x), **NEAR)


@given(st.floats(-60, 60), st.floats(1, 1e7))
def test_student(t: float, freedom: float) -> None:
    assume(abs(t) > 1e-6)  # nearer to 0 scipy loses the digits that ours keeps
    assert chance.student_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-9, abs=1e-9)


@given(st.floats(-40, 40))
def test_normal(z: float) -> None:
    assert chance.normal_p(z) == pytest.approx(2 * stats.norm.sf(abs(z)), **NEAR)


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=300)
def test_shares(n: int, m: int, first: float, second: float) -> None:
    hits, others = round(first * n), round(second * m)
    total, all_hits = n + m, hits + others
    if all_hits in (0, total):
        expected = 1.0
    elif min(n, m) * min(all_hits, total - all_hits) / total < 50:
        law = stats.hypergeom(total, all_hits, n)
        expected = min(1.0, 2 * min(law.cdf(hits), law.sf(hits - 1)))
    else:
        table = [[hits, n - hits], [others, m - others]]
        expected = stats.chi2_contingency(table, correction=False).pvalue
    assert chance.shares_p(hits, n, others, m) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@given(st.integers(2, 500), st.integers(2, 500), st.integers(0, 2**32 - 1))
def test_means(n: int, m: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(10, 3, n), random.lognormal(2, 1, m)
    found = chance.means_p(a.mean(), a.std(ddof=1), n, b.mean(), b.std(ddof=1), m)
    assert found == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-8, abs=1e-9)


def test_means_without_spread() -> None:
    assert chance.means_p(5, 0, 10, 5, 0, 10) == 1.0
    assert chance.means_p(5, 0, 10, 6, 0, 10) == 0.0
    assert chance.means_p(5, 1, 1, 6, 1, 10) is None
    assert chance.means_p(5, math.inf, 9, 6, 1, 10) is None


@given(st.integers(0, 50), st.integers(1, 200), st.integers(1, 200))
def test_values_beyond(k: int, n: int, m: int) -> None:
    expected = special.comb(n, min(k, n)) / special.comb(n + m, min(k, n))
    assert chance.beyond_p(k, n, m) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_adjustment(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values) if p_values else []
    assert chance.adjusted(p_values) == pytest.approx(list(expected), rel=1e-9, abs=1e-12)
