"""Is what a customer gets as new as the manifest? Where it is not, no apply of it ends the wait."""

from __future__ import annotations

import shlex

from rolecall_runner.status.digests import Written
from rolecall_runner.targets import Target
from rolecall_runner.tasks.verify.context import VerifyContext
from rolecall_runner.tasks.verify.probes import written_trust_allows


def older_than_manifest(target: Target, context: VerifyContext, found: Written) -> str:
    """What is older, and its mend, in a sentence; "" where nothing is, or nothing is written."""
    name = shlex.quote(target.name)
    if written_trust_allows(target, context) is False:
        return f"the module as written does not take the manifest's external id: gen terraform, gen bundle {name}, send it"
    if found.bundle_is_old(target):
        return f"the bundle is older than the module: gen bundle {name}, and send it"
    return ""
