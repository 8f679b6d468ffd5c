"""What any adapter must pass, ours and yours: `CHECKS`, each of which is given a `Subject`.

A subject is a platform together with a simulated wire of it, whose world knows the truth. Every
check is a function that raises NotConforming with what is wrong and why that loses data:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check, subject):
        run(check, subject)

docs/adding-a-platform.md has a whole example. Nothing that runs in production imports this.
"""

from __future__ import annotations

from adsync_dagster.conformance import contract, failures, truthful
from adsync_dagster.conformance.stage import Check, NotConforming, Stage
from adsync_dagster.conformance.subject import (
    WRONG_LISTS,
    WRONG_REPORTS,
    Fault,
    Subject,
)

__all__ = [
    "CHECKS",
    "WRONG_LISTS",
    "WRONG_REPORTS",
    "Fault",
    "NotConforming",
    "Subject",
    "run",
]

CHECKS: tuple[Check, ...] = (*contract.CHECKS, *truthful.CHECKS, *failures.CHECKS)


def run(check: Check, subject: Subject) -> None:
    """Run one check on a fresh subject; raises NotConforming.

    Whatever a check asks, it also fails when a request, an error, a log line or a repr showed
    a value of the credential.
    """
    with Stage(subject) as stage:
        check(stage)
        stage.require_secrecy()
