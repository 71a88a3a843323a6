"""`serve`: recommendations over HTTP."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.commands import console
from gru4rec_cli.commands.options import USE, DebugOption, command, errors

if TYPE_CHECKING:
    from gru4rec_cli.serving.engine import Served


@command(USE)
def serve(
    place: Annotated[Path, typer.Argument(metavar="BUNDLE | RUN", help="A bundle that `export` wrote, or a run.")],
    model: Annotated[str | None, typer.Option(help="A fitted model of the run.", show_default=False)] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0: reachable from other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8000,
    admin_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port on 127.0.0.1 for POST /v1/reload; none: no such address."),
    ] = None,
    ttl: Annotated[float, typer.Option(min=1, help="Seconds that a session is kept after its last click.")] = 1800.0,
    max_sessions: Annotated[int, typer.Option(min=1, help="Sessions that are kept at most.")] = 1_000_000,
    max_states: Annotated[
        int, typer.Option(min=1, help="States of sessions that are kept at most; others are made from the clicks.")
    ] = 100_000,
    max_clicks: Annotated[int, typer.Option(min=1, help="Clicks of a session at most.")] = 1000,
    max_k: Annotated[int, typer.Option(min=1, max=1000, help="Items of an answer at most.")] = 100,
    max_body: Annotated[int, typer.Option(min=100, help="Bytes of a request's body at most.")] = 1_000_000,
    body_seconds: Annotated[
        float, typer.Option(min=0.1, help="Seconds within which a request's body must have come.")
    ] = 10.0,
    sessions_file: Annotated[
        Path | None, typer.Option(help="An SQLite file that keeps sessions when the server ends; none: memory alone.")
    ] = None,
    access_log: Annotated[
        Path | None, typer.Option(help="File for a line of JSON a request, without items; -: stderr.")
    ] = None,
    log_sessions: Annotated[
        bool, typer.Option("--log-sessions", help="Log a pseudonym of the session, too, that lasts until a restart.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads that compute scores.")] = 1,
    debug: DebugOption = False,
) -> None:
    """Serve recommendations over HTTP, with the states of live sessions kept warm (needs the extra [serve])."""
    with errors(debug=debug):
        from gru4rec_cli.base.threads import limit_threads

        limit_threads(threads)
        try:
            from gru4rec_cli.serving import server
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("gru4rec_cli"):
                raise
            message = f"serve needs {error.name}, which is not installed"
            raise UsageError(message, "pip install 'gru4rec-study[serve]'") from error
        import sys

        from gru4rec_cli.serving.app import Limits
        from gru4rec_cli.serving.places import load_served

        def load() -> "Served":
            return load_served(place, model)

        log = None
        if access_log is not None:
            log = sys.stderr if str(access_log) == "-" else _opened(access_log)
        options = server.ServerOptions(
            host=host,
            port=port,
            admin_port=admin_port,
            time_to_live=ttl,
            max_sessions=max_sessions,
            max_states=max_states,
            sessions_file=sessions_file,
            log=log,
            log_sessions=log_sessions,
            limits=Limits(max_body=max_body, body_seconds=body_seconds, max_k=max_k, max_clicks=max_clicks),
        )
        server.serve(load, options, lambda address: console.show_status(f"serving {place} on {address}"))


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--access-log {path}: {error.strerror}", "name a file that can be written") from error
