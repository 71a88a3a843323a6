"""The server process: sockets, signals, connections, start and stop."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gru4rec_cli.base.errors import StudyError, UsageError
from gru4rec_cli.serving.app import Limits, Service
from gru4rec_cli.serving.engine import Engine, Served
from gru4rec_cli.serving.measures import AccessLog, Measures
from gru4rec_cli.serving.sessions import Disk, SessionStore

_SWITCH_SECONDS = 0.0005  # after which threads take turns: Python's 5 ms would be added to answers during a reload
_IDLE_SECONDS = 30.0  # after which a connection without a request is closed
_SPARE_FILES = 64  # that are not for connections

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """Settings of a server: where and how to serve."""

    host: str = "127.0.0.1"
    port: int = 8000
    admin_port: int | None = None  # on 127.0.0.1; None: no admin address
    time_to_live: float = 1800.0  # seconds that a session is kept after its last click
    max_sessions: int = 1_000_000
    max_states: int = 100_000
    sessions_file: Path | None = None
    log: TextIO | None = None
    log_sessions: bool = False
    limits: Limits = field(default_factory=Limits)


def serve(load: Callable[[], Served], options: ServerOptions, started: Callable[[str], None]) -> None:
    """Serve until the process is asked to stop by SIGTERM or Ctrl-C; SIGHUP loads the model anew.

    `started` is told the address when requests are answered.

    Raises:
        StudyError: the model cannot be loaded.
        UsageError: an address is taken.
        DataError: sessions cannot be kept in the file.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    most_connections = _allow_connections()
    socket_ = _bind(options.host, options.port)
    admin = None if options.admin_port is None else _bind("127.0.0.1", options.admin_port)
    served = load()
    disk = None if options.sessions_file is None else Disk(options.sessions_file)
    store = SessionStore(options.time_to_live, options.max_sessions, disk)
    engine = Engine(served, store, options.max_states, options.limits.max_clicks)

    async def main() -> None:
        log = AccessLog(options.log, sessions=options.log_sessions)
        service = Service(engine, load, options.limits, Measures(), log)
        servers = [_Server(_config(service.app(), most_connections))]
        tasks = [servers[0].serve([socket_])]
        if admin is not None:
            servers.append(_Server(_config(service.admin_app(), most_connections)))
            tasks.append(servers[1].serve([admin]))
        _handle_signals(service, servers)
        told = asyncio.create_task(_tell(servers, lambda: started(_address(socket_))))
        try:
            await asyncio.gather(*tasks)
        finally:
            told.cancel()
            store.close()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


class _Server(uvicorn.Server):
    """A server of which the process handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connections:
    """Connections that wait for a request, the one that waits longest first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.idle: OrderedDict[HttpToolsProtocol, None] = OrderedDict()

    def protocol(self) -> type[HttpToolsProtocol]:
        """Return the protocol of connections of which at most so many are open."""
        connections = self

        class Protocol(HttpToolsProtocol):
            """A connection that is closed if no request comes within a time, or if others need its place."""

            waiting: asyncio.TimerHandle | None = None

            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                if len(self.connections) > connections.most and connections.idle:
                    next(iter(connections.idle)).transport.close()
                self._wait()

            def on_headers_complete(self) -> None:
                self._wait_no_more()
                super().on_headers_complete()

            def on_response_complete(self) -> None:
                super().on_response_complete()
                if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
                    self._wait()

            def connection_lost(self, exc: Exception | None) -> None:
                self._wait_no_more()
                super().connection_lost(exc)

            def _wait(self) -> None:
                self._wait_no_more()
                connections.idle[self] = None
                self.waiting = self.loop.call_later(_IDLE_SECONDS, self.transport.close)

            def _wait_no_more(self) -> None:
                connections.idle.pop(self, None)
                if self.waiting is not None:
                    self.waiting.cancel()
                    self.waiting = None

        return Protocol


def _config(app: Any, most_connections: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connections(most_connections).protocol(),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(_IDLE_SECONDS) + 1,  # ours comes first
        timeout_graceful_shutdown=10,
        backlog=2048,
    )


def _handle_signals(service: Service, servers: list[_Server]) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def stop() -> None:
        service.ready = False
        for server in servers:
            server.should_exit = True

    async def reload() -> None:
        try:
            _log.info("reloaded: model %s", await service.reload())
        except StudyError as error:
            _log.warning("the model in use stays: %s", error.message)

    def begin_reload() -> None:
        task = asyncio.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, begin_reload)


async def _tell(servers: list[_Server], started: Callable[[], None]) -> None:
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    started()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except (OSError, OverflowError) as error:
        found.close()
        raise UsageError(f"{host}:{port} cannot be served: {error}", "name another --host or --port") from error
    return found


def _address(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_connections() -> int:
    """Raise the limit of open files as far as the system allows, and return how many connections may be open."""
    try:
        import resource
    except ImportError:  # Windows
        return 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    return max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
