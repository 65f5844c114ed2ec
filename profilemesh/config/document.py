"""A YAML text as plain data that remembers where each key and value stood and how it was written.

Scalars arrive as `Text`: the text after expansion of `${VAR}`, together with what YAML makes of it, so that
`password: 0123` stays "0123" while `port: 5432` is a number. Null is None. Every key is a text, also `on` and `2024`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from profilemesh.config.problems import Place, Problem
from profilemesh.errors import ConfigError

# Aliases are copied out: a file of nine nested lists of aliases would otherwise become a billion values.
MOST_VALUES = 50_000
DEEPEST = 50

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|(?P<odd>\$\{)")
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"
_KNOWN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp"))


class Text(str):
    """A scalar. `value` is YAML's reading of it, `written` the text in the file: what an error may show."""

    __slots__ = ("value", "written")
    value: Any
    written: str

    def __new__(cls, text: str, value: Any, written: str) -> Text:
        self = super().__new__(cls, text)
        self.value = value
        self.written = written
        return self


@dataclass(frozen=True)
class Document:
    """The data of one file. `lines` has, for each place, the lines (from 1) of its key and of its value."""

    path: Path
    data: Any
    lines: Mapping[Place, tuple[int, int]]
    problems: tuple[Problem, ...] = ()

    def line(self, place: Place, *, of_key: bool = False) -> int:
        """The line of a place, or of the nearest one around it that stands in the file."""
        while place and place not in self.lines:
            place = place[:-1]
        key, value = self.lines.get(place, (1, 1))
        return key if of_key else value


def read_document(path: Path, environ: Mapping[str, str]) -> Document:
    """Read one file. Problems of single values are collected; what makes the whole file unreadable is raised."""
    text = _read(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        words = " ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{path}:{line}: not valid YAML: {_harmless(words)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path}:{line}: not valid YAML: the character U+{int(error.character):04X}") from None
    except yaml.YAMLError:
        raise ConfigError(f"{path}: not valid YAML") from None
    except RecursionError:
        raise _too_much(path, 1) from None
    if node is None:
        raise ConfigError(f"{path}: the file is empty; it needs at least `source:` or `warehouses:`")
    if not isinstance(node, yaml.MappingNode):
        found = "a list" if isinstance(node, yaml.SequenceNode) else "a text"
        line = node.start_mark.line + 1
        raise ConfigError(f"{path}:{line}: found {found}; allowed: keys with values, as in `environment: production`")
    reader = _Reader(path, environ)
    try:
        data = reader.read(node, (), node.start_mark.line + 1)
    except RecursionError:
        raise _too_much(path, node.start_mark.line + 1) from None
    return Document(path, data, reader.lines, tuple(reader.problems))


def plain(data: Any) -> Any:
    """The data as YAML reads it, without places: for values that are handed on as they are."""
    if isinstance(data, Text):
        return data.value
    if isinstance(data, dict):
        return {key: plain(value) for key, value in data.items()}
    return [plain(item) for item in data] if isinstance(data, list) else data


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a directory; name the file in it, such as profilemesh.yml") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        found = f"0x{error.object[error.start]:02X}"
        raise ConfigError(f"{path}:{line}: found the byte {found}; allowed: text in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _too_much(path: Path, line: int) -> ConfigError:
    return ConfigError(
        f"{path}:{line}: too many or too deeply nested values, aliases followed;"
        f" allowed: {MOST_VALUES} values, {DEEPEST} levels"
    )


def _harmless(problem: str) -> str:
    """The parser's words without the file's own: what it quotes may be part of a password."""

    def kept(match: re.Match[str]) -> str:
        quoted = match[1]
        if quoted == r"\t":
            return "TAB (indent with spaces)"
        return match[0] if len(quoted) == 1 or quoted.startswith("<") else "a text"

    return re.sub("'([^']*)'", kept, problem)


@dataclass
class _Reader:
    path: Path
    environ: Mapping[str, str]
    lines: dict[Place, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    seen: int = 0

    def read(self, node: yaml.Node, place: Place, key_line: int) -> Any:
        line = node.start_mark.line + 1
        self._count(line, place)
        # What a merge brings in keeps the place of the first who said it: the explicit key.
        self.lines.setdefault(place, (key_line, line))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self.read(item, (*place, index), item.start_mark.line + 1) for index, item in items]
        return self._scalar(node, place)

    def _count(self, line: int, place: Place) -> None:
        self.seen += 1
        if self.seen > MOST_VALUES or len(place) > DEEPEST:
            raise _too_much(self.path, line)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merges: list[tuple[yaml.Node, int]] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                merges.append((value_node, line))
            elif not isinstance(key_node, yaml.ScalarNode):
                self._complain(place, "found a key that is no text; allowed: a text as key", line)
            elif key_node.value in data:
                key = key_node.value
                first = self.lines[(*place, key)][0]
                self._complain((*place, key), f"found a second time, after line {first}; allowed: each key once", line)
            else:
                data[key_node.value] = self.read(value_node, (*place, key_node.value), line)
        for merged, line in merges:
            data = self._merged(merged, place, line) | data
        return data

    def _merged(self, node: yaml.Node, place: Place, line: int) -> dict[str, Any]:
        if isinstance(node, yaml.SequenceNode):
            parts = [self._merged(item, place, line) for item in reversed(node.value)]
            return {key: value for part in parts for key, value in part.items()}
        if isinstance(node, yaml.MappingNode):
            self._count(line, place)
            return self._mapping(node, place)
        self._complain((*place, "<<"), "allowed: a mapping, or a list of mappings", line)
        return {}

    def _scalar(self, node: yaml.Node, place: Place) -> Text | None:
        written: str = node.value
        if node.tag == _NULL:
            return None
        if node.tag not in _KNOWN_TAGS:
            self._complain(place, "found a YAML tag; allowed: values without a tag", node.start_mark.line + 1)
        text = self._expanded(written, place, node.start_mark.line + 1)
        is_plain = not getattr(node, "style", None)
        if is_plain and text != written and text == "":
            return None
        return Text(text, _value(text) if is_plain else text, written)

    def _expanded(self, written: str, place: Place, line: int) -> str:
        def replaced(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match["odd"]:
                self._complain(place, "found '${' without a variable; allowed: ${NAME}, ${NAME:-default}, $${", line)
            if name is None:
                return "${"
            if default is not None:
                return self.environ.get(name) or default
            if name not in self.environ:
                found = f"found ${{{name}}}, but the environment variable {name} is not set"
                allowed = f"allowed: a variable that is set, or a default as in ${{{name}:-default}}"
                self._complain(place, f"{found}; {allowed}", line)
            return self.environ.get(name, match[0])

        return _REFERENCE.sub(replaced, written)

    def _complain(self, place: Place, message: str, line: int) -> None:
        self.problems.append(Problem(place, message, line))


def _value(text: str) -> Any:
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    if tag not in _KNOWN_TAGS:
        return text
    try:
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except (ValueError, OverflowError):
        # 2024-13-45 looks like a date to YAML and is none.
        return text
