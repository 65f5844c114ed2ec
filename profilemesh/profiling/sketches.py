"""The two sketches a summary is built of. Their cells depend on no data, so any two of them line up.

`HyperLogLog` estimates how many distinct values there were (Flajolet et al. 2007, with the estimator of Ertl 2017,
"New cardinality estimation algorithms for HyperLogLog sketches", which needs no bias tables). `LogHistogram` counts
values in buckets whose edges are powers of 1.02 on either side of zero, so that any value is known within 1 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Registers = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

REGISTER_BITS = 12
REGISTERS = 1 << REGISTER_BITS
RANK_BITS = 64 - REGISTER_BITS

RATIO = 1.02
LOG_RATIO = math.log(RATIO)
BUCKET_OFFSET = 50_000
"""Added to a bucket's exponent, so that the key's sign is the value's and keys sort as values do.

The exponents of doubles lie within -37,600 and +35,850."""


class HyperLogLog:
    """4,096 registers: the highest rank (position of the first one bit) seen among the hashes of each register.

    Given as a function, they are made when they are first looked at."""

    def __init__(self, registers: Registers | Callable[[], Registers] | None = None) -> None:
        self._given = registers

    @cached_property
    def registers(self) -> Registers:
        if self._given is None:
            return np.zeros(REGISTERS, np.uint8)
        return self._given() if callable(self._given) else self._given

    @classmethod
    def from_bits(cls, bits: bytes | None) -> HyperLogLog:
        """From 64 bits per register, the first bit first, that tell which ranks occurred; None is none of them."""
        if bits is None:
            return cls()
        words = np.frombuffer(bits, ">u8").astype(np.uint64)
        # The lowest bit of a word that is set stands for the highest rank; a power of two survives as a double.
        _, place = np.frexp((words & (~words + np.uint64(1))).astype(np.float64))
        return cls(np.where(words == 0, 0, 64 - place).astype(np.uint8))

    def merge(self, other: HyperLogLog) -> HyperLogLog:
        return HyperLogLog(np.maximum(self.registers, other.registers))

    def estimate(self) -> float:
        """The number of distinct values; one standard error is 1.6 %, less below some thousand."""
        counts = np.bincount(self.registers, minlength=RANK_BITS + 2)
        z = REGISTERS * _tau(1.0 - counts[RANK_BITS + 1] / REGISTERS)
        for count in counts[RANK_BITS:0:-1]:
            z = 0.5 * (z + float(count))
        z += REGISTERS * _sigma(counts[0] / REGISTERS)
        return 0.0 if math.isinf(z) else REGISTERS * REGISTERS / (2.0 * math.log(2.0) * z)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HyperLogLog) and bool(np.array_equal(self.registers, other.registers))

    __hash__ = None  # type: ignore[assignment]


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3.0


@dataclass(frozen=True, eq=False)
class LogHistogram:
    """Counts by bucket key, in the order of the values. Key 0 is zero; a positive key k holds the values from
    1.02 ** (k - 50,000) up to the next power, a negative one their mirror image. NaN and infinities stay outside."""

    keys: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    sizes: Integers = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> LogHistogram:
        table = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1])

    def merge(self, other: LogHistogram) -> LogHistogram:
        keys, place = np.unique(np.concatenate((self.keys, other.keys)), return_inverse=True)
        sizes = np.zeros(keys.size, np.int64)
        np.add.at(sizes, place, np.concatenate((self.sizes, other.sizes)))
        return LogHistogram(keys, sizes)

    @cached_property
    def counts(self) -> tuple[tuple[int, int], ...]:
        return tuple(zip(self.keys.tolist(), self.sizes.tolist(), strict=True))

    @property
    def total(self) -> int:
        return int(self.sizes.sum())

    @cached_property
    def _cumulative(self) -> Integers:
        return np.cumsum(self.sizes)

    def quantile(self, q: float) -> float | None:
        """The value of lower rank floor(q * (n - 1)), within 1 %; None when there are no values."""
        if not self.keys.size:
            return None
        rank = math.floor(q * (self.total - 1))
        return middle(int(self.keys[np.searchsorted(self._cumulative, rank, side="right")]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LogHistogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]


K = TypeVar("K")


def added(*parts: Iterable[tuple[K, int]]) -> dict[K, int]:
    """Sums of counts by key."""
    sums: dict[K, int] = {}
    for part in parts:
        for key, count in part:
            sums[key] = sums.get(key, 0) + count
    return sums


def edges(key: int) -> tuple[float, float]:
    """The lower and upper edge of a bucket, in the order of the values; the two are zero for key 0."""
    if key == 0:
        return 0.0, 0.0
    exponent = abs(key) - BUCKET_OFFSET
    near, far = _power(exponent), _power(exponent + 1)
    return (near, far) if key > 0 else (-far, -near)


def middle(key: int) -> float:
    """The value that no value of the bucket is further than 1 % from."""
    low, high = edges(key)
    if key == 0 or math.isinf(high) or math.isinf(low):
        return low if key >= 0 else high
    near = min(abs(low), abs(high))
    return math.copysign(near * 2.0 * RATIO / (1.0 + RATIO), key)


def _power(exponent: int) -> float:
    try:
        return math.exp(exponent * LOG_RATIO)
    except OverflowError:
        return math.inf
