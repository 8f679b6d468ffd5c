"""The page: one HTML file that needs nothing else, and how it is written."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined
from markupsafe import Markup

from adsync_dagster import __version__
from adsync_dagster.errors import UsageError
from adsync_dagster.report import charts, formats
from adsync_dagster.report.model import Page
from adsync_dagster.wording import counted

_FILTERS = (
    "money",
    "number",
    "day",
    "instant",
    "duration",
    "shown",
    "with_code",
    "sentence",
)


def render(page: Page) -> str:
    """The page as HTML. Every value is escaped; only drawings and the style sheet are markup."""
    templates = Templates(
        loader=PackageLoader("adsync_dagster.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=formats.plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in _FILTERS:
        templates.filters[name] = getattr(formats, name)
    templates.filters["counted"] = counted
    templates.globals["legend"] = charts.legend
    style = templates.loader.get_source(templates, "report.css")[0] if templates.loader else ""
    return templates.get_template("report.html.j2").render(
        page=page,
        facts=page.facts,
        version=__version__,
        style=Markup(style),  # noqa: S704  a file of this package
        style_hash=_hash(style),
    )


def _hash(style: str) -> str:
    """What the page's content security policy allows: this style sheet and nothing else."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def write(path: Path, text: str) -> None:
    """Put the page in its place as a whole: a reader sees the old one or the new one.

    UsageError when the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UsageError(
            f"the report cannot be written to {path} ({error.strerror}); choose another --out"
        ) from None
