"""A TCP line between browser and server that can stall, be cut, and lead to another server."""

from __future__ import annotations

import contextlib
import socket
import threading


class StallingLine:
    """Listens on a port of 127.0.0.1 and passes bytes to and from the port in `to`, until it is closed."""

    def __init__(self, to: int) -> None:
        self.to = to
        self._flows = threading.Event()
        self._flows.set()
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """From now on nothing passes, though both ends find the line open."""
        self._flows.clear()

    def resume(self, to: int | None = None) -> None:
        """Lets bytes pass again. to: the port of another server; what was held back is lost on the way."""
        if to is not None:
            self.to = to
            self.cut()
        self._flows.set()

    def cut(self) -> None:
        """Ends all connections; what was held back is lost."""
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def __enter__(self) -> StallingLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._door.close()
        self.cut()
        self._flows.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._flows.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            near.close()
            return
        with self._lock:
            self._ends |= {near, far}
        for here, there in ((near, far), (far, near)):
            threading.Thread(target=self._pass, args=(here, there), daemon=True).start()

    def _pass(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(65_536):
                self._flows.wait()
                there.sendall(data)
        for end in (here, there):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
