"""What the exit codes of `adsync` mean, and the one place where errors become them.

A person gets one line that says what to do. A traceback is never printed unless asked for
with --debug; a defect's goes to a file under ADSYNC_HOME/logs that only its owner can read.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import typer

from adsync_dagster.commands.output import complain, remarks
from adsync_dagster.errors import AdsyncError, Unreachable


class ExitCode(IntEnum):
    """The exit codes of every command; docs/cli.md says the same."""

    #: Everything asked for is done.
    OK = 0
    #: Work is left or an account failed; running again later helps.
    WORK_LEFT = 1
    #: Bad input: an argument, a setting, a missing migration.
    USAGE = 2
    #: A person must act: a credential, a permission, a closed account.
    BLOCKED = 3
    #: The database or Dagster's storage cannot be reached; or the platform, where the command
    #: itself asks it (accounts add, discover, doctor, alert test). In a run it is WORK_LEFT.
    UNREACHABLE = 4
    #: A bug of ours.
    DEFECT = 70
    #: Interrupted from the keyboard.
    INTERRUPTED = 130


_FAMILY_CODES = {
    "retryable": ExitCode.WORK_LEFT,
    "blocked": ExitCode.BLOCKED,
    "usage": ExitCode.USAGE,
    "defect": ExitCode.DEFECT,
}

#: Libraries whose connection errors reach the command line; their text may hold an address.
_STORAGE_ERRORS = frozenset({"OperationalError", "InterfaceError", "DagsterPostgresException"})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: The words of a full disk in errors that have no number, such as a database server's.
_NO_SPACE = os.strerror(errno.ENOSPC)


def run_guarded(call: Callable[[], int | None], *, debug: bool) -> int:
    """Run a command and return its exit code; every error becomes one line on stderr."""
    try:
        return int(call() or 0)
    except KeyboardInterrupt:
        leave(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _close_stdout()
        return ExitCode.OK
    except (typer.TyperException, typer.Abort) as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            remarks().print(str(error), markup=False, soft_wrap=True)
        else:
            complain(_usage_line(error))
        return ExitCode.USAGE
    except AdsyncError as error:
        return _known(error, debug=debug)
    except Exception as error:  # noqa: BLE001  the last line of defence before a traceback
        return _unknown(error, debug=debug)


def leave(code: ExitCode) -> NoReturn:
    """End the process now, without waiting for threads that are still at work."""
    remarks().show_cursor()
    complain("interrupted; what was finished is kept")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def code_of(error: AdsyncError) -> ExitCode:
    """The exit code of an error of ours."""
    if isinstance(error, Unreachable):
        return ExitCode.UNREACHABLE
    return _FAMILY_CODES[error.family]


def worst(codes: list[ExitCode]) -> ExitCode:
    """The code of several outcomes: a bug before a person before waiting before success."""
    order = [ExitCode.DEFECT, ExitCode.UNREACHABLE, ExitCode.BLOCKED, ExitCode.USAGE]
    return next((code for code in (*order, ExitCode.WORK_LEFT) if code in codes), ExitCode.OK)


def _known(error: AdsyncError, *, debug: bool) -> int:
    code = code_of(error)
    if code is ExitCode.DEFECT:
        return _unknown(error, debug=debug)
    complain(one_line(str(error)))
    if debug:
        traceback.print_exc()
    return code


def _unknown(error: Exception, *, debug: bool) -> int:
    if (known := _system_error(error)) is not None:
        complain(known[0])
        code = known[1]
    elif type(error).__name__ in _STORAGE_ERRORS:
        complain(
            "a database connection failed while the command ran; check that the server of"
            " ADSYNC_DATABASE_URL and DAGSTER_PG_URL answers, then run `adsync doctor`"
        )
        code = ExitCode.UNREACHABLE
    else:
        complain(f"this is a bug in adsync ({type(error).__name__}); {_keep_traceback(error)}")
        code = ExitCode.DEFECT
    if debug:
        traceback.print_exc()
    return code


def _system_error(error: BaseException | None) -> tuple[str, ExitCode] | None:
    """What a person can mend of an error of the machine, wherever in the chain it stands."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL or _NO_SPACE in str(error):
            place = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
            text = f"a disk is full{place}; free space and run it again: what was finished is kept"
            return text, ExitCode.BLOCKED
        if number in _FORBIDDEN and isinstance(error, OSError) and error.filename:
            text = (
                f"{error.filename} cannot be used ({error.strerror}); give yourself the right, or"
                " set ADSYNC_HOME and DAGSTER_HOME to folders that you own"
            )
            return text, ExitCode.USAGE
        error = error.__cause__ or error.__context__
    return None


def _usage_line(error: Exception) -> str:
    """A parser's complaint as one line that names the help to read."""
    if isinstance(error, typer.Abort):
        return "stopped; nothing was changed"
    message = one_line(getattr(error, "message", "") or str(error)).rstrip(".")
    if format_message := getattr(error, "format_message", None):
        message = one_line(format_message()).rstrip(".")
    # The parser checks with pydantic, whose word for "wrong" says nothing to a person.
    message = message.replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "adsync"
    return f"{message}; see `{command} --help`"


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def _keep_traceback(error: Exception) -> str:
    """Write the traceback where only the user can read it; say where that is."""
    text = "".join(traceback.format_exception(error))
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%S")
    name = f"crash-{stamp}-{os.getpid()}.log"
    home = Path(os.environ.get("ADSYNC_HOME") or ".adsync").expanduser()
    for folder in (home / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return f"please report it with {path}"
    return "run again with --debug to see where"


def _close_stdout() -> None:
    """A reader such as `head` went away: that is no error, and must not become one at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
