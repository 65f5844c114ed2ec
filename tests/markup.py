"""A page as a tree, to ask what stands in it and what its tips say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser

VOID = frozenset("br hr img input link meta source wbr".split())


@dataclass
class Node:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Node]:
        """Itself and all in it, as they stand."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return " ".join("".join(parts).split())

    def all(self, tag: str, of_class: str = "") -> list[Node]:
        return [n for n in self if n.tag == tag and (not of_class or of_class in n.attributes.get("class", "").split())]

    def one(self, tag: str, of_class: str = "", begins: str = "") -> Node:
        """The only one of these whose text begins so."""
        [found] = [node for node in self.all(tag, of_class) if node.text.startswith(begins)]
        return found

    @property
    def exact(self) -> str:
        """What the tip of its first word says, else that word; what stands small behind it is left out."""
        for child in self.children:
            if isinstance(child, str) and child.strip():
                return " ".join(child.split())
            if isinstance(child, Node) and child.text:
                return child.attributes.get("title") or child.exact
        return ""

    @property
    def whole(self) -> int | None:
        """Of a cell with one number, all its digits; None for a dash."""
        digits = re.fullmatch(r"(−?)([\d,]+)", self.exact)
        return int(digits[2].replace(",", "")) * (-1 if digits[1] else 1) if digits else None

    @property
    def number(self) -> float | None:
        digits = re.fullmatch(r"(−|-)?([\d,.e+-]+)", self.exact)
        return float(digits[2].replace(",", "")) * (-1 if digits[1] else 1) if digits else None

    @property
    def moment(self) -> datetime | None:
        times = self.all("time")
        return datetime.fromisoformat(times[0].attributes["datetime"]) if times else None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while len(self.open) > 1 and self.open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(page: str) -> Node:
    reader = _Reader()
    reader.feed(page)
    return reader.open[0]
