"""Which managed policies AWS has, which of them it has deprecated, and which hand over an account.

Names are those of the `aws` partition, written by `tests/tools/extract_managed_policies.py`; other partitions have most
of these and a few of their own. Sources and dates are in the data files.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from rolecall_generator.iam.data import read_table

_ARN_MIDDLE = ":iam::aws:policy/"


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A deprecated policy: what AWS names in its place (None: nothing), and whether it can still be attached."""

    replacement: str | None
    attachable: bool = False


_STATUS = read_table("managed_policy_status.json")

DEPRECATED: Mapping[str, Deprecated] = {name: Deprecated(**entry) for name, entry in _STATUS["deprecated"].items()}
"""Deprecated policies by path and name. The list is short and made by hand; a test checks it against the list of names."""

SWEEPING: Mapping[str, str] = _STATUS["sweeping"]
"""Policies that hand over an account, or all its data, each with what it allows."""


@lru_cache(maxsize=1)
def known_names() -> frozenset[str]:
    """Path and name of every AWS managed policy that can be attached, as in `job-function/ViewOnlyAccess`."""
    return frozenset(read_table("aws_managed_policies.json")["names"])


def managed_policy_name(arn: str) -> str | None:
    """Path and name of an AWS managed policy; None when the ARN is a customer's own policy or no policy at all."""
    head, middle, name = arn.partition(_ARN_MIDDLE)
    return name if middle and head.startswith("arn:") else None


@lru_cache(maxsize=4_096)
def nearest_name(name: str) -> str | None:
    """The policy that `name` most probably means: the same name under its right path first."""
    plain = name.rpartition("/")[2]
    by_plain = {known.rpartition("/")[2]: known for known in sorted(known_names())}
    if plain in by_plain:
        return by_plain[plain]
    close = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None
