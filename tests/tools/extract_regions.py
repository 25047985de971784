"""Extract the list of AWS Regions for the checks from the installed botocore.

Run `python tests/tools/extract_regions.py` after an upgrade of botocore, and commit the result. The Regions come from
botocore's `data/partitions.json` and `data/endpoints.json` (botocore is under the Apache License 2.0).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import botocore
from botocore.session import Session

TARGET = Path(__file__).parents[2] / "generator" / "rolecall_generator" / "iam" / "data" / "regions.json"


def main() -> None:
    """Write every Region by partition, except those without geography (aws-global)."""
    listed = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text("utf-8"))
    regions: dict[str, list[str]] = {}
    for partition in listed["partitions"]:
        name = partition["id"]
        known = set(partition["regions"]) | set(Session().get_available_regions("ec2", partition_name=name))
        regions[name] = sorted(region for region in known if not region.endswith("-global"))
    body = {
        "source": f"botocore {version('botocore')}, data/partitions.json and data/endpoints.json",
        "date": f"{datetime.now(UTC):%Y-%m}",
        "regions": regions,
    }
    TARGET.write_text(json.dumps(body, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
