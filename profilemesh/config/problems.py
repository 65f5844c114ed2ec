"""What is wrong with a configuration, and how it is told: one line each, in the order of the file, without secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

Place = tuple[str | int, ...]
ALLOWED = "allowed: "

_SECRET = re.compile(r"passw|pwd|secret|token|credential|private_?key|api_?key|^extra_params$|^params$", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    place: Place
    message: str
    line: int

    def __str__(self) -> str:
        return f"{dotted(self.place)}: {self.message}" if self.place else self.message


def dotted(place: Place) -> str:
    """`("profiling", "tables", 2, "table")` as `profiling.tables[2].table`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{_key(part)}"
    return text.removeprefix(".")


def _key(key: str) -> str:
    # `{password:s3cret}` without a space is, to YAML, one key.
    return f"{key.partition(':')[0]}:..." if ":" in key else key


def is_secret(place: Place) -> bool:
    """Whether the value at this place may be a password, or hold one."""
    if place == ("storage", "connection") or (place[:2] == ("alerts", "routes") and "to" in place):
        return True
    return any(isinstance(part, str) and _SECRET.search(part) for part in place)


def without_credentials(text: str) -> str:
    """The text with whatever stands between `://` and the last `@` hidden."""
    return re.sub(r"://.*@", "://***@", text, flags=re.DOTALL)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def one_per_place(problems: Iterable[Problem]) -> list[Problem]:
    """The first problem of each place, in the order of the file."""
    first: dict[Place, Problem] = {}
    for problem in problems:
        first.setdefault(problem.place, problem)
    return sorted(first.values(), key=lambda problem: problem.line)
