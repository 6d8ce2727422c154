"""A socket between a client and the container engine: calls can be held, and the engine can go away."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["DockerProxy"]


class DockerProxy:
    """Forwards to the real engine. `hold` names a part of a request; such a request, or its answer, waits until `release`."""

    def __init__(self, path: Path, engine: str) -> None:
        self.address = f"unix://{path}"
        self.engine = urlsplit(engine).path
        self.hold = b""
        self.hold_answer = False
        self.held = threading.Event()
        self.released = threading.Event()
        self.path = path
        self._open: list[socket.socket] = []
        self._server: socket.socket | None = None
        self.come_back()

    def come_back(self) -> None:
        """Answer again."""
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(self.path))
        server.listen(64)
        self._server = server
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def go_away(self) -> None:
        """Cut all connections, and answer no more."""
        assert self._server is not None
        self.path.unlink()
        for one in (self._server, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open = []

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self.engine)
                self._open += [client, engine]
                held = threading.Event()
                for pair in ((client, engine, True), (engine, client, False)):
                    threading.Thread(target=self._forward, args=(*pair, held), daemon=True).start()

    def _forward(
        self, source: socket.socket, sink: socket.socket, is_request: bool, held: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if is_request and self.hold and self.hold in data:
                    held.set()
                if held.is_set() and is_request is not self.hold_answer:
                    self.held.set()
                    self.released.wait(60)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
