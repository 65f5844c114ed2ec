"""A receiver that is slow, fails and drops, and senders killed at any moment: every message arrives, in order.

Three routes of one real server, each misbehaving in its own way; ticks go on telling while senders die. The receiver
notes what it took whether or not the sender heard of it, and one that honours the key sees each message once.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from profilemesh.alerts.outbox import enqueue
from profilemesh.config import load_config
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.upgrade import upgrade
from tests.engine.alerts.made import add_finding, add_tick, digests
from tests.webhook import CUT, ERROR, LOST, OK, RESET, SLOW, Receiver, receiving

SENDING = Path(__file__).with_name("sending.py")
ROOT = Path(__file__).parents[2]
MOODS = {
    "steady": {OK: 1, SLOW: 2},
    "failing": {OK: 2, ERROR: 2, SLOW: 1},
    "dropping": {OK: 2, RESET: 1, CUT: 1, LOST: 2, SLOW: 1},
}
"""How often each route's server does what."""


@dataclass
class Scene:
    folder: Path
    url: str
    storage: Storage
    receiver: Receiver
    chance: random.Random
    told: list[str] = field(default_factory=list)
    is_down: bool = False

    @property
    def config_path(self) -> Path:
        return self.folder / "profilemesh.yml"

    def configure(self) -> None:
        routes = [{"name": name, "to": self.receiver.address(name)} for name in MOODS]
        warehouses = {"shop": {"type": "duckdb", "filepath": "shop.duckdb"}}
        self.config_path.write_text(json.dumps({"warehouses": warehouses, "alerts": {"routes": routes}}))
        self.receiver.behaviour = self._behave

    def _behave(self, path: str) -> str:
        if self.is_down and path != "/steady":
            return ERROR if path == "/failing" else RESET
        mood = MOODS[path.strip("/")]
        return self.chance.choices(list(mood), list(mood.values()))[0]

    def tick(self) -> None:
        """A tick with one to three findings, over at once."""
        config, plan_id = load_config(self.config_path, {}), str(uuid.uuid4())
        number = len(self.told)
        with self.storage.begin() as session:
            add_tick(session, plan_id)
            found = [add_finding(session, sentence=f"{number}.{n}") for n in range(self.chance.randint(1, 3))]
            enqueue(session, config, plan_id, [(each, "opened") for each in found])
        self.told.append(f"{number}")

    @contextmanager
    def sender(self) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, str(SENDING), str(self.config_path), self.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "NO_PROXY": "*"},
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def ask(process: subprocess.Popen[str], seconds: float | None) -> int:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{json.dumps(seconds)}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def numbers(scene: Scene, route: str) -> list[str]:
    """Of the messages as one who honours the key saw them: which tick each is about."""
    found = []
    for each in scene.receiver.once(route):
        ticks = {entry["sentence"].partition(".")[0] for entry in each.body["profilemesh"]["entries"]}
        assert len(ticks) == 1
        found += ticks
    return found


def kills(scene: Scene, times: int) -> Counter[str]:
    """Kill so many senders at random moments while ticks go on telling; then let one finish."""
    met: Counter[str] = Counter()
    scene.configure()
    with scene.sender() as process:
        for number in range(times):
            scene.is_down = times // 3 <= number < times // 2
            for _ in range(scene.chance.randint(3, 6)):
                scene.tick()
            taken = len(scene.receiver.taken)
            status = ask(process, scene.chance.uniform(0.0, 1.0))
            assert status == -signal.SIGKILL
            met["kills"] += 1
            met["amid sending"] += len(scene.receiver.taken) > taken and any(
                each.status == "waiting" for each in digests(scene.storage)
            )
        scene.is_down = False
        assert ask(process, None) == 0
    met["messages"] = len(scene.told) * len(MOODS)
    met["taken"] = len(scene.receiver.taken)
    met["asked"] = len(scene.receiver.asked)
    met.update({f"answer {what}": count for what, count in Counter(w for _, w in scene.receiver.asked).items()})
    return met


def assert_all_arrived(scene: Scene) -> None:
    assert {each.status for each in digests(scene.storage)} == {"sent"}
    assert len(digests(scene.storage)) == len(scene.told) * len(MOODS)
    for route in MOODS:
        assert numbers(scene, route) == scene.told
        bodies: dict[str | None, set[str]] = {}
        for each in scene.receiver.on(route):
            bodies.setdefault(each.key, set()).add(json.dumps(each.body, sort_keys=True))
        assert None not in bodies and all(len(words) == 1 for words in bodies.values())
    keys = {each.key for each in digests(scene.storage)}
    assert {each.key for each in scene.receiver.taken} == keys


@pytest.fixture
def scene(storage_url: str, tmp_path: Path) -> Iterator[Scene]:
    upgrade(storage_url)
    storage = open_storage(storage_url)
    with receiving() as receiver:
        yield Scene(tmp_path, storage_url, storage, receiver, random.Random(7))
    storage.close()


def test_senders_killed_three_times_lose_nothing(scene: Scene) -> None:
    kills(scene, 3)
    assert_all_arrived(scene)


@pytest.mark.prove
def test_senders_killed_fifty_times_lose_nothing(scene: Scene) -> None:
    met = kills(scene, 50)
    assert_all_arrived(scene)
    answers = ", ".join(f"{met[f'answer {what}']} {what}" for what in (OK, SLOW, ERROR, RESET, CUT, LOST))
    sys.stdout.write(
        f"{scene.storage.engine.dialect.name}: {met['kills']} kills, {met['amid sending']} while messages were going"
        f" out; {met['messages']} messages on {len(MOODS)} routes arrived in order, each once by its key, after"
        f" {met['asked']} requests ({answers}), {met['taken'] - met['messages']} of them taken again\n"
    )
    assert met["amid sending"] >= 10
    assert met["taken"] > met["messages"]
