"""Numbers as people read them: short where they stand, every digit in the tip, a dash when unknown."""

from __future__ import annotations

Number = int | float

DASH = "–"
MINUS = "−"
# From where on, the divisor, its name. 999,999 would otherwise read 1,000 k.
STEPS = ((0.9995e12, 1e12, "tn"), (0.9995e9, 1e9, "bn"), (0.9995e6, 1e6, "M"), (1e4, 1e3, "k"))


def compact(value: Number | None) -> str:
    """1840221 -> 1.84 M; below ten thousand in full."""
    if value is None:
        return DASH
    for start, divisor, unit in STEPS:
        if abs(value) >= start:
            return _signed(f"{_three(abs(value) / divisor)} {unit}", value)
    return number(value)


def _three(value: float) -> str:
    """Three digits, zeros at the end cut."""
    text = f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: Number | None) -> str:
    """Four digits or the whole integer, with thousands apart; tiny and huge ones by exponent."""
    if value is None:
        return DASH
    size = abs(value)
    if isinstance(value, int) or value == int(value) and size < 1e15:
        text = f"{int(size):,}" if size < 1e15 else f"{size:.4g}"
    elif size >= 1e15 or size < 1e-3:
        text = f"{size:.3g}"
    elif size >= 1000:
        text = f"{size:,.{1 if size < 10_000 else 0}f}".removesuffix(".0")
    else:
        text = f"{size:.4g}"
    return _signed(text, value)


def precise(value: Number | None) -> str:
    """Every digit where there are not too many: a largest value that is rounded up would be one that never was."""
    if value is None:
        return DASH
    text = f"{abs(value):,}".removesuffix(".0")
    return _signed(text, value) if len(text) <= 14 and "e" not in text else number(value)


def exact(value: Number | None) -> str:
    """Every digit, for a tip."""
    if value is None:
        return "unknown"
    if isinstance(value, float) and not value.is_integer():
        return repr(value).replace("-", MINUS)
    return _signed(f"{abs(int(value)):,}", value)


def _signed(text: str, value: Number) -> str:
    return f"{MINUS}{text}" if value < 0 else text


def percent(value: Number | None) -> str:
    """More than nothing never reads 0 %, less than all never 100 %."""
    if value is None:
        return DASH
    if 0 < value < 0.05:
        return "<0.1 %"
    if 99.95 < value < 100:
        return ">99.9 %"
    return f"{value:.1f}".removesuffix(".0") + " %"


def change(value: Number | None, unit: str = "") -> str:
    """A difference, with its sign."""
    if value is None:
        return DASH
    if value == 0:
        return f"±0{unit}"
    return f"{'+' if value > 0 else ''}{compact(value)}{unit}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    if seconds < 0.0995:
        return f"{max(seconds * 1000, 0):.0f} ms" if seconds >= 0.0005 else "<1 ms"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
