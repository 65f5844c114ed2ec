"""Run as a process of its own: ticks until its standard input ends.

Arguments: the configuration, the storage's URL, the term in seconds, `lease` or `alone`, and the name of the host that
it says it runs on, if not this one's. With `lease` a scheduler ticks while it holds the lease; `alone` ticks as fast as
it can and asks nobody.
"""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from pathlib import Path

from apscheduler.triggers.interval import IntervalTrigger

from jobs.scheduler import Scheduler
from jobs.tick import HAND, Project, tick
from profilemesh import runner, turn
from profilemesh.storage import claims, ticks

config, url, seconds, mode, *host = sys.argv[1:]
project, term = Project(Path(config), url), timedelta(seconds=float(seconds))
runner.CLAIM_TERM = turn.CLAIM_TERM = ticks.UNSEEN_LIMIT = term
if host:
    claims._this_host = lambda: host[0]

if mode == "lease":
    scheduler = Scheduler(project, IntervalTrigger(seconds=0.1), term)
    scheduler.start()
    sys.stdin.read()
    scheduler.stop()
else:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.is_set():
        tick(project, asked_by=HAND)
