"""`adsync dev` and `adsync demo`: long-running things on this machine."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from adsync_dagster.commands.exits import ExitCode
from adsync_dagster.commands.output import note
from adsync_dagster.commands.surroundings import (
    DAGSTER_HOME,
    default_dagster_home,
    make_private_folder,
    prepare_dagster,
    require_dagster_storage,
    warehouse_url,
)
from adsync_dagster.errors import UsageError
from adsync_dagster.packaged import packaged_file
from adsync_dagster.settings import Settings
from adsync_dagster.variables import LOOPBACK
from adsync_dagster.wording import counted

#: How long Dagster's processes get to end by themselves before they are killed.
_STOP_SECONDS = 30.0

Port = Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="Port to listen on.")]


def demo(
    *,
    ui: Annotated[
        bool, typer.Option("--ui", help="Open Dagster's UI at the end, until Ctrl-C.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="Port of the UI; a free one if unset."),
    ] = None,
) -> int:
    """Show the whole story here, with simulated platforms.

    Ads stop on Meta, TikTok and Google Ads, their last numbers arrive late, and none is lost:
    Postgres, Dagster and the simulated platforms all run on this machine. After every act the
    warehouse is compared with the truth, to the cent; ends with 0 only when all is equal. Needs
    no account and no network. What it makes lives in its own folder.

    \b
    Example: adsync demo --ui
    """
    from adsync_dagster.demo.show import run

    if port is not None:
        require_free_port("127.0.0.1", port)
    return ExitCode.OK if run(ui=ui, port=port) else ExitCode.WORK_LEFT


def dev(
    *,
    port: Port = 3000,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    no_login: Annotated[
        bool,
        typer.Option(
            "--i-know-there-is-no-login",
            help="Allow an address that other machines reach: anyone there can start runs.",
        ),
    ] = False,
) -> int:
    """Start Dagster's UI and daemon on this machine.

    The database is migrated first; without ADSYNC_DATABASE_URL it is an embedded Postgres
    under ADSYNC_HOME. Ctrl-C ends everything that was started, the database included.

    \b
    Example: adsync dev --port 3001
    """
    if host not in LOOPBACK and not no_login:
        raise UsageError(
            f"Dagster's UI has no login, so it is not opened to {host[:60]}; put a proxy with a"
            " login before 127.0.0.1, or pass --i-know-there-is-no-login"
        )
    require_free_port(host, port)
    settings = Settings.from_environment()
    from adsync_dagster.warehouse import embedded

    with only_one_dev(default_dagster_home(settings), port):
        ours = not settings.database_url and not embedded.is_running(settings.home)
        try:
            return _serve(host, port, settings)
        finally:
            if ours:
                embedded.stop(settings.home)


@contextmanager
def only_one_dev(home: Path, port: int) -> Iterator[None]:
    """Keep a second `adsync dev` out of the same Dagster home; UsageError names the first.

    Two daemons on one home would both evaluate sensors and schedules. The lock goes with the
    process that holds it, however it ends.
    """
    import fcntl

    make_private_folder(home, DAGSTER_HOME)
    with (home / "adsync-dev.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            first = lock.read(100).strip() or "another process"
            raise UsageError(
                f"adsync dev already runs on {home} ({first}); stop it, or set DAGSTER_HOME and"
                " ADSYNC_HOME to other folders"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, port {port}")
        lock.flush()
        yield


def _serve(host: str, port: int, settings: Settings) -> int:
    from adsync_dagster.warehouse.migrations import migrate

    applied = migrate(warehouse_url(settings))
    if applied:
        note(f"{counted(len(applied), 'migration')} applied")
    home = prepare_dagster(settings)
    require_dagster_storage()
    note(f"Dagster UI on http://{_shown(host)}:{port} (its home is {home}); Ctrl-C ends it")
    return run_dagster(host, port, home, settings)


def run_dagster(host: str, port: int, home: Path, settings: Settings) -> int:
    """Run `dagster dev` until it ends or we are told to stop; nothing of it stays behind."""
    environment = dict(os.environ)
    environment["ADSYNC_HOME"] = str(settings.home)
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev"]
    command += ["--workspace", str(packaged_file("workspace.yaml"))]
    command += ["--host", host, "--port", str(port)]
    # Its own process group, so that all of it can be ended; in its home, so that a
    # dagster.yaml in the current folder is not taken for a mistake.
    process = subprocess.Popen(  # noqa: S603
        command, cwd=home, env=environment, start_new_session=True
    )
    return _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The child's exit code; SIGINT, SIGTERM and SIGHUP to us stop it first."""
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping and process.poll() is None:
            process.send_signal(signal.SIGINT)
        stopping = True

    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        while True:
            try:
                code = process.wait(timeout=_STOP_SECONDS if stopping else 1.0)
            except subprocess.TimeoutExpired:
                if stopping:
                    code = -signal.SIGKILL
                    break
            else:
                break
    finally:
        _kill_group(process)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if stopping else abs(code)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of the child's group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    process.wait(timeout=10)


def require_free_port(host: str, port: int) -> None:
    """UsageError when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageError(
                    f"port {port} is in use; stop what listens there or pass another --port"
                ) from None
            raise UsageError(
                f"cannot listen on {host[:60]}:{port} ({error.strerror}); pass another --host"
                " or --port"
            ) from None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
