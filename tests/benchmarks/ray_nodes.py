"""A Ray cluster of several nodes on this machine, whose workers and nodes can be killed.

It listens on 127.0.0.1 alone, keeps its files in a temporary folder and leaves no process behind. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caw.process import environment_variables
from study.engines import ray as ray_engine

_STORE = 80_000_000  # bytes of each node's object store, about the least that Ray takes
_ENDS_WITHIN = 60.0  # s
_PATIENT = {  # where a worker takes minutes to start, as on a busy machine of two cores
    "RAY_worker_niceness": "0",  # beside other tests 15, the default, leaves them a thirtieth of a core
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_prestart_worker_first_driver": "0",  # jobs have variables of their own: they need other workers
    "RAY_enable_worker_prestart": "0",
}


class Nodes:
    """A running cluster. `address` is what `study build --address` is given."""

    def __init__(self, cluster: Any, home: str):
        self.cluster, self.home = cluster, home
        self.address: str = cluster.address

    def processes(self) -> list[int]:
        """All processes of the cluster: they share the variable that names its folder."""
        processes = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                mark = f"RAY_TMPDIR={self.home}".encode()
                if mark in (place / "environ").read_bytes().split(b"\0") and int(place.name) != os.getpid():
                    processes.append(int(place.name))
        return processes

    def workers(self) -> list[int]:
        """Those that are at a job."""
        return [process for process in self.processes() if _title(process).startswith("ray::run_job")]

    def kill_worker(self) -> None:
        """kill -9 of one that is at a job."""
        os.kill(self.workers()[0], signal.SIGKILL)

    def kill_node(self) -> None:
        """kill -9 of a node, not the head, that is at a job: its raylet and the workers of that."""
        workers = self.workers()
        for node in self.cluster.worker_nodes:
            raylet = node.all_processes["raylet"][0].process.pid
            if lost := [process for process in workers if parent(process) == raylet]:
                for process in (raylet, *lost):  # workers live on for 8 s without a raylet
                    os.kill(process, signal.SIGKILL)
                return
        raise RuntimeError("no node beside the head is at a job")


@contextlib.contextmanager
def running(*cpus: int) -> Iterator[Nodes]:
    """A cluster of nodes of so many CPUs, the head first."""
    home = tempfile.mkdtemp(prefix="ray-nodes-", dir="/tmp")  # sockets may have 107 characters
    with environment_variables({"RAY_TMPDIR": home} | _PATIENT):
        ray_engine.library(alone=True)
        from ray.cluster_utils import Cluster

        facts = {"object_store_memory": _STORE, "include_dashboard": False}
        cluster = nodes = None
        try:
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], **facts})
            nodes = Nodes(cluster, home)
            for number in cpus[1:]:
                cluster.add_node(num_cpus=number, **facts)
            yield nodes
        finally:
            if cluster:
                cluster.shutdown()
            if nodes:
                _wait_for_the_end(nodes)
            shutil.rmtree(home, ignore_errors=True)


def _wait_for_the_end(nodes: Nodes) -> None:
    for last in (False, True):
        ends = time.monotonic() + _ENDS_WITHIN
        while (left := nodes.processes()) and time.monotonic() < ends:
            time.sleep(0.2)
        for process in left if not last else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _title(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def parent(process: int) -> int:
    """The process that started it; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0
