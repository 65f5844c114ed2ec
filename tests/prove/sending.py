"""Run as a process of its own: senders of alerts that die, each in a fork, which starts in no time.

A line on the standard input is a sender: the seconds after which it is killed, or null for one that sends until nothing
waits. The answer is its process's status, less than 0 for the signal that killed it. Arguments: the configuration and
the storage's URL.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg2  # noqa: F401

from jobs.deliver_alerts import deliver_alerts
from jobs.tick import Project
from profilemesh.alerts import channels, delivery
from profilemesh.alerts.messages import Message
from profilemesh.storage import alerts, open_storage

project = Project(Path(sys.argv[1]), sys.argv[2])
delivery.FIRST_PAUSE, delivery.LONGEST_PAUSE = timedelta(seconds=0.02), timedelta(seconds=0.1)


def send(until_empty: bool) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        deliver_alerts(project)
        if until_empty and is_empty():
            os._exit(0)
        time.sleep(0.01)
    os._exit(1)


def is_empty() -> bool:
    storage = open_storage(project.storage_url)
    with storage.read() as session:
        return not alerts.routes_at_work(session)


def ended(child: int, seconds: float | None) -> int:
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# What is loaded at first use is loaded here, and not by each sender anew.
project.config()
deliver_alerts(project)
channels.send("json://127.0.0.1:1", Message("warm", "up", note="nobody is there"))

for line in sys.stdin:
    wanted = json.loads(line)
    sender = os.fork()
    if sender == 0:
        os.dup2(os.open("complaints", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        send(wanted is None)
    sys.stdout.write(f"{ended(sender, wanted)}\n")
    sys.stdout.flush()
