"""Who holds a claim: told by host, process, start time and a random part, so that a dead holder can be known."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path


def new_holder() -> str:
    """A name for whoever is about to claim: `host:pid:start-time:uuid`, different at every call."""
    pid = os.getpid()
    return f"{_this_host()}:{pid}:{_start_time(pid) or ''}:{uuid.uuid4()}"


_retired: set[str] = set()


def retire(holder: str) -> None:
    """Nobody works under this name any more, though this process lives: what it could not give back is free."""
    _retired.add(holder)


def holder_is_dead(holder: str) -> bool:
    """True only on proof: it was retired here, or it ran on this host and its process is gone or another's by now."""
    if holder in _retired:
        return True
    parts = holder.rsplit(":", 3)
    if len(parts) != 4 or not parts[1].isdigit() or not parts[2]:
        return False
    host, pid, started, _ = parts
    if host != _this_host() or not Path("/proc/self/stat").exists():
        return False
    return _start_time(int(pid)) != started


def _this_host() -> str:
    """The host name, the boot and the process namespace: containers and cloned machines share names and numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _start_time(pid: int) -> str | None:
    """The process's start in clock ticks since boot; None if it is gone, or dead and not yet buried."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The command in parentheses may itself hold spaces and parentheses; after it, fields 3 (state) to 22 (start).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]
