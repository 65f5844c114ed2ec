"""Distances between distributions: scipy's on the same inputs to 1e-9, and what chance makes of them."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import spatial, special, stats

from profilemesh.drift import distributions as d
from profilemesh.drift.chance import chi_square_p, kolmogorov_p
from profilemesh.profiling.sketches import LogHistogram

counts = st.integers(2, 60).flatmap(
    lambda cells: st.tuples(*[arrays(np.float64, cells, elements=st.integers(0, 10_000).map(float))] * 2)
)
full = counts.map(lambda pair: (pair[0] + 1, pair[1] + 1))


@given(full)
def test_psi_is_both_relative_entropies(pair: tuple[d.Counts, d.Counts]) -> None:
    p, q = (each / each.sum() for each in pair)
    expected = np.sum(special.rel_entr(p, q)) + np.sum(special.rel_entr(q, p))
    assert d.psi(*pair) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(counts)
def test_jensen_shannon_is_scipys(pair: tuple[d.Counts, d.Counts]) -> None:
    assume(all(each.sum() for each in pair))
    expected = spatial.distance.jensenshannon(*pair, base=2) ** 2
    assert d.jensen_shannon(*pair) ** 2 == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(counts)
def test_chi_square_is_scipys(pair: tuple[d.Counts, d.Counts]) -> None:
    table = np.array(pair)
    table = table[:, table.sum(axis=0) > 0]
    assume(table.shape[1] > 1 and table.sum(axis=1).all())
    expected = stats.chi2_contingency(table, correction=False)
    statistic, freedom = d.chi_square(*pair)
    assert (statistic, freedom) == (pytest.approx(expected.statistic, rel=1e-9, abs=1e-9), expected.dof)
    assert chi_square_p(statistic, freedom) == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-12)


@given(arrays(np.int64, st.integers(1, 200), elements=st.integers(-50, 50)), st.integers(0, 2**32 - 1))
def test_ks_on_cells_of_one_value_is_scipys(before: np.ndarray, seed: int) -> None:
    now = np.random.default_rng(seed).integers(-60, 60, 150)
    distance = d.ks(*d.aligned(*(LogHistogram(*np.unique(x, return_counts=True)) for x in (before, now))))
    expected = stats.ks_2samp(before, now, method="asymp")
    assert distance == pytest.approx(expected.statistic, rel=1e-9, abs=1e-12)
    effective = before.size * now.size / (before.size + now.size)
    limit = stats.kstwobign.sf(distance * math.sqrt(effective))
    assert kolmogorov_p(distance, before.size, now.size) == pytest.approx(limit, rel=1e-9, abs=1e-12)


def test_cells_line_up_by_their_keys() -> None:
    before, now = d.aligned(LogHistogram.of([(-5, 1), (3, 2)]), LogHistogram.of([(0, 4), (3, 5)]))
    assert before.tolist() == [1, 0, 2]
    assert now.tolist() == [0, 4, 5]
    assert [each.tolist() for each in d.aligned_values({"a": 1, "c": 2}, {"b": 3})] == [[1, 0, 2], [0, 3, 0]]


@given(counts)
def test_bins_lose_no_value_and_are_full_enough(pair: tuple[d.Counts, d.Counts]) -> None:
    before, now = d.binned(*pair)
    assert (before.sum(), now.sum()) == (pair[0].sum(), pair[1].sum())
    assert len(before) <= d.BINS
    smaller = min(before.sum(), now.sum())
    if len(before) > 1:
        assert ((before + now) / (before + now).sum() * smaller >= d.LEAST - 1e-9).all()


@given(counts)
def test_a_distribution_is_as_it_was(pair: tuple[d.Counts, d.Counts]) -> None:
    assume(pair[0].sum())
    for ordered in (True, False):
        for found in d.distances(pair[0], pair[0], ("psi", "jensen_shannon", "ks", "chi_square"), ordered=ordered):
            assert found.effect == 0 or found.effect < 1e-6
            assert found.p_value == pytest.approx(1.0)


def test_an_empty_sample_is_unknown() -> None:
    assert d.distances(np.zeros(3), np.ones(3), ("psi", "ks"), ordered=True) == []
    assert d.distances(np.zeros(0), np.zeros(0), ("psi", "ks"), ordered=True) == []


def test_values_that_share_nothing_are_far_apart() -> None:
    found = {
        each.method: each
        for each in d.distances(
            np.array([900.0, 0]), np.array([0, 900.0]), ("psi", "ks", "jensen_shannon"), ordered=True
        )
    }
    assert found["ks"].effect == 1
    assert found["jensen_shannon"].effect == pytest.approx(1, abs=0.01)
    assert 5 < found["psi"].effect < math.inf
    assert all(each.p_value < 1e-9 for each in found.values())


def test_what_chance_brings_is_taken_off() -> None:
    """The naive index is above 0.1 for most unchanged pairs of 100 values; the effect is not."""
    random = np.random.default_rng(5)
    naive, judged = [], []
    for _ in range(400):
        pair = [random.multinomial(100, [0.1] * 10).astype(float) for _ in range(2)]
        found = d.distances(*pair, ("psi",), ordered=True)[0]
        naive.append(found.statistic > 0.1)
        judged.append(found.effect > 0.1 and found.p_value < 0.01)
    assert np.mean(naive) > 0.7
    assert np.mean(judged) < 0.03


def test_w_does_not_hang_on_the_sizes() -> None:
    p, q = np.array([900.0, 100.0]), np.array([800.0, 200.0])
    assert d.cohen_w(p, q) == pytest.approx(d.cohen_w(p, q * 50))
    assert 0.25 < d.cohen_w(p, q) < 0.3
