"""A manifest of one customer whose role reads and writes a bucket, lists instances, and has a managed policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from guardrail_policies import text
from rolecall_generator.guardrails import CustomerModule, Guardrails, PolicyFiles, find_customer, read_files

MANIFEST = """\
version: 1
backend:
  account_id: "111111111111"
  role: {name: backend_role, existing: true}
permission_sets:
  bucket:
    statements:
      - {sid: Bucket, actions: [s3:ListBucket, s3:GetObject], resources: ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]}
      - {sid: Instances, actions: [ec2:DescribeInstances], resources: ["*"]}
defaults: {regions: [eu-central-1], permissions: [bucket]}
customers:
  - {name: account1, account_id: "222222222222", role: role1, external_id: "0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"}
  - {name: account2, account_id: "333333333333", role: role2, external_id: "6b1e0a9f3c7d4e52a8f4d1c2b3a49586"}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.yaml"
    path.write_text(MANIFEST, "utf-8")
    return path


@pytest.fixture
def account1(manifest: Path) -> CustomerModule:
    return find_customer(manifest, manifest.parent / "output", "account1")


@pytest.fixture
def rails(tmp_path: Path) -> Callable[..., Guardrails]:
    """Reads policies from files: `scps` and `rcps` by level."""

    def read(
        scps: Mapping[str, object] | None = None, rcps: Mapping[str, object] | None = None, account: str = "222222222222"
    ) -> Guardrails:
        arguments: dict[str, list[str]] = {"scp": [], "rcp": []}
        for kind, levels in (("scp", scps or {}), ("rcp", rcps or {})):
            for number, (level, body) in enumerate(levels.items()):
                path = tmp_path / f"{kind}-{number}.json"
                path.write_text(text(body), "utf-8")
                arguments[kind].append(f"{level}={path}")
        return read_files(PolicyFiles(tuple(arguments["scp"]), tuple(arguments["rcp"])), account, str)

    return read
