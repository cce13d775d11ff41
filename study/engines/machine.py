"""The cores and the memory that a process may use, also inside a container that is given less than the
machine.

Linux keeps a container's limits (docker's --cpus and --memory, Kubernetes', a systemd slice's) in control
groups, of which there are two versions: https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_MOUNTS = {"cpu": ("cpu,cpuacct", "cpu"), "memory": ("memory",)}  # of version 1, by what is limited
_ROOT = Path("/")


def cores(root: Path = _ROOT) -> int:
    """Processor cores that this process may use: those it may run on, or as many as its quota pays for."""
    return max(1, min(_visible_cores(), round(_quota(root))))


def are_rationed(root: Path = _ROOT) -> bool:
    """Whether there are more cores than this process may use at once, which libraries do not see."""
    return cores(root) < _visible_cores()


def free_memory(root: Path = _ROOT) -> float:
    """Bytes that this process may still use, those of caches included."""
    free = [float(psutil.virtual_memory().available)]
    for group in _groups("memory", root):
        numbers = _named_numbers(group / "memory.stat")
        for limit, used, prefix in (
            ("memory.max", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            cached = sum(numbers.get(f"{prefix}{kind}_file", 0.0) for kind in ("active", "inactive"))
            free.append(_number(group / limit) - max(0.0, _number(group / used, 0.0) - cached))
    return max(0.0, min(free))


def _visible_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(root: Path) -> float:
    """Cores' worth of time that the process's groups may take; very many without a limit."""
    quotas = [1e6]
    for group in _groups("cpu", root):
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):  # else "max"
            quotas.append(int(quota) / int(period))
        quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us", 0.0)
        if quota > 0 and period > 0:  # else -1
            quotas.append(quota / period)
    return min(quotas)


def _groups(kind: str, root: Path) -> Iterator[Path]:
    """Folders of the groups that this process is in, and of those around them, whose limits hold as well.

    In a container the path may be the machine's, of which only the end or nothing is visible: then the mount
    itself is the container's group.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            places = [mounts, mounts / "unified"]
        elif kind in controllers.split(","):
            places = [mounts / name for name in _MOUNTS[kind]]
        else:
            continue
        for place in places:
            inside = Path(path.strip("/"))
            yield from (place / part for part in (inside, *inside.parents))


def _named_numbers(file: Path) -> dict[str, float]:
    """A file of lines that begin with a name and a number."""
    pairs = (line.split()[:2] for line in _text(file).splitlines())
    return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _number(file: Path, default: float = float("inf")) -> float:
    """The number in a file; `default` where there is none, as in "max"."""
    with contextlib.suppress(ValueError):
        return float(int(_text(file)))
    return default


def _text(file: Path) -> str:
    """The text of a file; "" for one that cannot be read, as of another system or another version."""
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
