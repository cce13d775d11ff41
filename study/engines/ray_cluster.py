"""The cluster that a build works on: one that runs, or one of this machine alone for as long as the build.

Ray writes to the terminal where it likes; here it is kept quiet, as the build has a progress view of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from study.engines import EngineError
from study.engines.machine import cores
from study.engines.ray_worker import code, difference, own_folder, versions

ANSWERS_WITHIN = 10.0  # s, for a cluster that is asked for
_STARTS_WITHIN = 180.0  # s, for a node of this machine to be there
_LOOKS_WITHIN = 120.0  # s, for a node to start a worker and say what it has installed
_STORE = 500_000_000  # bytes for what is on its way, on this machine; what does not fit goes to the disk
_LONGEST_PLACE = (
    12  # characters; our folder's name and Ray's for a socket make 95 of the 107 that it may have
)
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(
    [0, 0, 0, 4, 0, 0, 0, 0, 0]
)  # and empty settings of our own
_INSTALL = "pip install 'eureka-study[cluster]'"
_INIT_FAILS = (RuntimeError, OSError, ValueError)  # what ray.init documents, and timeouts
_SAME = "install the same on all machines (the same commit, with -c constraints.txt)"


class Unanswered(EngineError):
    """No cluster is there."""


def library(*, alone: bool) -> ModuleType:
    """Ray itself. alone: for a cluster of this machine, which then listens to no other.

    Raises: EngineError where it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # spares a warning; ray_worker hides GPUs itself
    if alone:  # has Ray take 127.0.0.1 for this machine's address
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise EngineError(f"--engine ray needs Ray, which is not installed; install it: {_INSTALL}") from None
    if alone:  # the variable is read once, as Ray is imported, which may have been before
        ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
    return ray


def place_of(address: str) -> tuple[str, int] | None:
    """Host and port; None for auto. Raises: EngineError for an address of another form."""
    if address == "auto":
        return None
    if "://" in address:
        told = f"--address {address} is of another kind than HOST:PORT"
        raise EngineError(
            f"{told}; make this machine a node of the cluster and give what `ray start` was given"
        )
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise EngineError(f"--address is {address!r}; write HOST:PORT, as 10.0.0.5:6379, or auto")
    return host.strip("[]"), int(port)


@contextlib.contextmanager
def joined(address: str | None) -> Iterator[tuple[ModuleType, str | None]]:
    """Ray, connected inside this block, and the folder for its temporary files where it is of this machine.

    address: HOST:PORT of a running cluster, or auto; None: started here and ended with the block.
    Raises: EngineError.
    """
    ray = library(alone=address is None)
    if ray.is_initialized():
        raise EngineError("this process is connected to Ray already; build in a process of its own")
    with contextlib.ExitStack() as held:
        folder = held.enter_context(own_folder("eureka-ray", _short_place())) if address is None else None
        held.callback(ray.shutdown)
        heard = signal.getsignal(signal.SIGTERM)
        if folder:
            _start(ray, str(folder))
        else:
            _connect(ray, address)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heard or signal.SIG_DFL)  # Ray takes it for itself
        _silence(ray)
        yield ray, str(folder) if folder else None


@dataclass(frozen=True)
class Claim:
    """What each task takes of its node for itself."""

    cpus: int
    gpus: float = 0.0  # a part of one lets tasks share it
    memory: float = 0.0  # bytes


def nodes(ray: ModuleType, claim: Claim) -> dict[str, int]:
    """How many such tasks each living node has room for in all, by its id."""
    found = {}
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            room = int(has.get("CPU", 0) // claim.cpus)
            if gpus := claim.gpus:  # parts of two GPUs make none
                devices = int(has.get("GPU", 0))
                room = min(room, devices // int(gpus) if gpus >= 1 else devices * int(1 / gpus + 1e-9))
            if claim.memory:
                room = min(room, int(has.get("memory", 0) // claim.memory))
            found[node["NodeID"]] = room
    return found


def claim_of(ray: ModuleType, cpus: int, gpus: float, memory: float) -> Claim:
    """What tasks claim: no more memory than any node has that could do one, so that none is left out.

    Raises: EngineError where no node can ever do such a task.
    """
    roomy = {node for node, room in nodes(ray, Claim(cpus, gpus)).items() if room}
    if not roomy:
        raise _no_room(ray, cpus, gpus)
    has = [node["Resources"].get("memory", 0.0) for node in ray.nodes() if node["NodeID"] in roomy]
    return Claim(cpus, gpus, int(min(memory, *has)))


def _no_room(ray: ModuleType, cpus: int, gpus: float) -> EngineError:
    living = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = {kind: max((has.get(kind, 0) for has in living), default=0) for kind in ("CPU", "GPU")}
    if gpus > most["GPU"]:
        whole = sum(has.get("GPU", 0) for has in living)
        there = f"the cluster has {whole:g} GPUs" + (f", {most['GPU']:g} on one node" if whole else "")
        return EngineError(f"--gpus-per-task {gpus:g}, but {there}; ask for fewer, or start nodes with GPUs")
    told = f"a task takes {cpus:g} CPUs (OMP_NUM_THREADS), but no node has more than {most['CPU']:g}"
    return EngineError(f"{told}{' with a GPU' if gpus else ''}; set OMP_NUM_THREADS lower, or start nodes")


def require_same(ray: ModuleType, among: list[str]) -> None:
    """Ask nodes, by their ids, what they have installed. Raises: EngineError where that differs from here."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def look() -> dict[str, str] | str:  # sent as it stands, to nodes that may lack this package
        try:
            from study.engines import ray_worker
        except ImportError as error:
            return str(error)
        return ray_worker.versions() | ray_worker.code()

    asked = {}
    for node in among:
        where = NodeAffinitySchedulingStrategy(node, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0)(look).options(scheduling_strategy=where)
        asked[task.remote()] = node
    host = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
    ready, late = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOKS_WITHIN)
    for answer in late:
        told = f"node {host[asked[answer]]} did not answer within {_LOOKS_WITHIN:.0f} s"
        raise EngineError(f"{told}; look at `ray status`, and take the node out or start it again")
    for answer in ready:
        name = host[asked[answer]]
        try:
            theirs = ray.get(answer)
        except ray.exceptions.RayError:
            continue  # it died meanwhile: then it does no task
        if isinstance(theirs, str):
            raise EngineError(f"node {name} lacks eureka-study ({theirs}); there, too: {_INSTALL}")
        if told := difference(versions() | code(), theirs):
            raise EngineError(f"node {name} is not as this machine: {told}; {_SAME}")


@contextlib.contextmanager
def patient() -> Iterator[None]:
    """Nodes that are started inside have longer to be there than Ray's 30 s: other work may slow them.

    Raises: TimeoutError in place of the node.
    """
    from ray._private import services

    plain = services.get_node

    def get_node(*asked: Any) -> Any:
        ends = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                return plain(*asked)
            except RuntimeError as error:
                if time.monotonic() > ends:
                    raise TimeoutError(f"no node within {_STARTS_WITHIN:.0f} s: {error}") from None
                time.sleep(0.5)

    services.get_node = get_node
    try:
        yield
    finally:
        services.get_node = plain


def _start(ray: ModuleType, folder: str) -> None:
    """A cluster of this machine, in a folder for its sockets and logs. Raises: EngineError."""
    try:
        with patient():
            ray.init(
                address="local",
                num_cpus=cores(),
                include_dashboard=False,
                object_store_memory=_STORE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
    except _INIT_FAILS as error:
        told = f"Ray cannot be started on this machine ({' '.join(str(error).split())[:200]})"
        raise EngineError(f"{told}; use --engine local, which needs no more than this one") from None


def _connect(ray: ModuleType, address: str) -> None:
    if place := place_of(address):
        _reach(*place)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except _INIT_FAILS as error:
        raise _reason(address, str(error)) from None


def _reason(address: str, said: str) -> EngineError:
    """Why a cluster cannot be joined, in one line."""
    line = " ".join(said.split())
    if "ersion mismatch" in said:
        return EngineError(f"the cluster at {address} has other versions ({line}); {_SAME}")
    if "Could not find any running Ray instance" in said:
        told = "--address auto: no cluster runs on this machine"
        return Unanswered(f"{told}; start one with `ray start`, or give HOST:PORT")
    told = f"the cluster at {address} cannot be joined ({line[:200]})"
    mend = f"make this machine a node of it: ray start --address={address} --num-cpus=0"
    return EngineError(f"{told}; {mend}")


def _reach(host: str, port: int) -> None:
    """Raises: EngineError where no cluster answers at the address, within ANSWERS_WITHIN.

    Ray itself waits for minutes where something else listens. Its servers speak HTTP/2, perhaps encrypted;
    the dashboard, whose port is easily taken for the right one, does not.
    """
    ends = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            with socket.create_connection((host, port), timeout=max(0.1, ends - time.monotonic())) as line:
                line.sendall(_HTTP2)
                frame = line.recv(9, socket.MSG_WAITALL)
            break
        except OSError as error:
            if time.monotonic() + 1 > ends or not isinstance(error, ConnectionRefusedError):
                told = f"no cluster answers at {host}:{port} ({error.strerror or error})"
                raise Unanswered(f"{told}; start one with `ray start --head`, or mend --address") from None
            time.sleep(1.0)
    if frame.startswith(b"HTTP"):
        told = f"what listens at {host}:{port} is no Ray cluster"
        raise EngineError(f"{told}; give the port that `ray start --head` tells, by default 6379")


def _silence(ray: ModuleType) -> None:
    """Ray prints several lines on each lost worker, whatever its log level; the build tells of it itself."""
    ray._private.worker.print_to_stdstream = lambda *_, **__: None


def _short_place() -> str:
    """A folder for temporary files whose name leaves room for Ray's."""
    default = tempfile.gettempdir()
    return "/tmp" if len(default) > _LONGEST_PLACE and Path("/tmp").is_dir() else default
