"""Extract the list of AWS managed policies for the checks from the installed moto.

Run `python tests/tools/extract_managed_policies.py` after an upgrade of moto, and commit the result. The names come from
`moto/iam/aws_managed_policies.py` (moto is under the Apache License 2.0), generated with `aws iam
get-account-authorization-details`. Policies of service-linked roles are omitted, because they cannot be attached.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from moto.iam.aws_managed_policies import aws_managed_policies_data

TARGET = Path(__file__).parents[2] / "generator" / "rolecall_generator" / "iam" / "data" / "aws_managed_policies.json"


def main() -> None:
    """Write path and name of every attachable policy, and the date of the newest one."""
    policies = json.loads(aws_managed_policies_data)
    names = sorted(
        policy["Path"].lstrip("/") + name for name, policy in policies.items() if policy["Path"] != "/aws-service-role/"
    )
    newest = max(policy["UpdateDate"] for policy in policies.values())[:10]
    body = {
        "source": f"moto {version('moto')}, moto/iam/aws_managed_policies.py (Apache-2.0)",
        "date": f"{datetime.now(UTC):%Y-%m}",
        "newest": newest,
        "names": names,
    }
    TARGET.write_text(json.dumps(body, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
