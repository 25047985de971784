"""AWS's Regions by partition.

Source: `iam/data/regions.json`, extracted by `tests/tools/extract_regions.py`. A well-formed name that is not listed may
be a new Region: report it, but do not reject it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache

from rolecall_generator.iam.data import read_table

REGION_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"
_FORM = re.compile(REGION_PATTERN)
_REGIONLESS = frozenset({"global", "aws-global", "aws-cn-global", "aws-us-gov-global"})
"""Values of the Region part in ARNs of services without Regions, such as AWS Health."""


@lru_cache(maxsize=1)
def _partitions() -> Mapping[str, str]:
    """The partition of each known Region."""
    table = read_table("regions.json")["regions"]
    return {region: partition for partition, regions in table.items() for region in regions}


def partition_of_region(region: str) -> str | None:
    """The partition of the Region; None if it is not listed."""
    return _partitions().get(region)


def regions_of(partition: str) -> tuple[str, ...]:
    """The known Regions of a partition, sorted by name."""
    return tuple(sorted(region for region, its in _partitions().items() if its == partition))


def is_region_name(text: str) -> bool:
    """Whether `text` has the form of a Region name or is a placeholder for it (`global`)."""
    return _FORM.match(text) is not None or text in _REGIONLESS


def is_known_region(text: str) -> bool:
    """Whether AWS has the Region, in any partition."""
    return text in _partitions() or text in _REGIONLESS


def nearest_region(text: str, partition: str) -> str | None:
    """The Region of the partition closest to `text`; None if none is similar."""
    close = difflib.get_close_matches(text.lower().replace("_", "-"), regions_of(partition), n=1, cutoff=0.6)
    return close[0] if close else None
