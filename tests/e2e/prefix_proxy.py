"""A small proxy that serves a study under a prefix, as nginx and Caddy do; everything else is not there."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

NOT_HERE = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@contextlib.contextmanager
def proxy(port: int, to: int, prefix: str, *, takes_off: bool) -> Iterator[str]:
    """Listens at `port` for the study at `to`; yields its address. takes_off: whether the prefix goes off."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listening:

        def listen() -> None:
            with contextlib.suppress(OSError):  # the end of the test
                while True:
                    line, _ = listening.accept()
                    threading.Thread(target=_serve, args=(line, to, prefix, takes_off), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{port}{prefix}"


def _serve(line: socket.socket, to: int, prefix: str, takes_off: bool) -> None:
    """One request; a connection for each, but for sockets, which stay."""
    with contextlib.suppress(OSError), line:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = line.recv(65536)
            if not piece:
                return
            head += piece
        method, path, rest = head.split(b" ", 2)
        if not path.startswith(prefix.encode()):
            line.sendall(NOT_HERE)
            return
        path = (path.removeprefix(prefix.encode()) or b"/") if takes_off else path
        if b"upgrade: websocket" not in rest.lower():
            first, _, others = rest.partition(b"\r\n")
            others = b"\r\n".join(
                one for one in others.split(b"\r\n") if not one.lower().startswith(b"connection:")
            )
            rest = first + b"\r\nConnection: close\r\n" + others
        with socket.create_connection(("127.0.0.1", to)) as study:
            study.sendall(b" ".join((method, path, rest)))
            threading.Thread(target=_pump, args=(line, study), daemon=True).start()
            _pump(study, line)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
