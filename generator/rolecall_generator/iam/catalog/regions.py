"""Which Regions AWS has, by partition.

Source: `data/regions.json`, written by `tests/tools/extract_regions.py`; its source stands in the file. AWS opens a few
Regions a year, so a well-formed name that is not listed may be a new Region: say so, and do not refuse it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache

from rolecall_generator.iam.data import read_table

REGION_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"
_FORM = re.compile(REGION_PATTERN)
_NOT_PLACES = frozenset({"global", "aws-global", "aws-cn-global", "aws-us-gov-global"})
"""What stands in the Region's part of ARNs of services without Regions, as in AWS Health's."""


@lru_cache(maxsize=1)
def _partitions() -> Mapping[str, str]:
    """The partition of each known Region."""
    table = read_table("regions.json")["regions"]
    return {region: partition for partition, regions in table.items() for region in regions}


def partition_of_region(region: str) -> str | None:
    """The partition that has the Region; None for a Region that is not listed."""
    return _partitions().get(region)


def is_region_name(text: str) -> bool:
    """Whether the text has the form of a Region's name, or is what stands in its place (`global`)."""
    return _FORM.match(text) is not None or text in _NOT_PLACES


def is_known_region(text: str) -> bool:
    """Whether AWS has the Region, in any partition."""
    return text in _partitions() or text in _NOT_PLACES


def nearest_region(text: str, partition: str) -> str | None:
    """The partition's Region that `text` most probably means; None when none is like it."""
    regions = [region for region, its in _partitions().items() if its == partition]
    close = difflib.get_close_matches(text.lower().replace("_", "-"), regions, n=1, cutoff=0.6)
    return close[0] if close else None
