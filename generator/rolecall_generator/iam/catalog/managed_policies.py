"""AWS managed policies: existing, deprecated, and those with full access.

Names are those of the `aws` partition, extracted by `tests/tools/extract_managed_policies.py`; other partitions have most
of these and a few more. Sources and dates are in the data files.
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
    """A deprecated policy: its replacement, None if AWS names none, and whether it can still be attached."""

    replacement: str | None
    attachable: bool = False


_STATUS = read_table("managed_policy_status.json")

DEPRECATED: Mapping[str, Deprecated] = {name: Deprecated(**entry) for name, entry in _STATUS["deprecated"].items()}
"""Deprecated policies by path and name. Maintained by hand; a test checks it against the list of names."""

OVERLY_BROAD: Mapping[str, str] = _STATUS["sweeping"]
"""Policies that grant full access to an account or to all its data, each with what it allows."""


@lru_cache(maxsize=1)
def known_names() -> frozenset[str]:
    """Path and name of every AWS managed policy that can be attached, as in `job-function/ViewOnlyAccess`."""
    return frozenset(read_table("aws_managed_policies.json")["names"])


def managed_policy_name(arn: str) -> str | None:
    """Path and name of an AWS managed policy; None for any other ARN."""
    head, middle, name = arn.partition(_ARN_MIDDLE)
    return name if middle and head.startswith("arn:") else None


@lru_cache(maxsize=4_096)
def nearest_name(name: str) -> str | None:
    """The managed policy closest to `name`, first by name without path; None if none is similar."""
    plain = name.rpartition("/")[2]
    by_plain = {known.rpartition("/")[2]: known for known in sorted(known_names())}
    if plain in by_plain:
        return by_plain[plain]
    close = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None
