"""The dependency lock: hashes for every requirement, and no URLs."""

from __future__ import annotations

from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"


def test_every_locked_requirement_has_a_hash_and_no_url() -> None:
    """requirements.lock pins each version with its hashes and has no host, file or index option."""
    requirements = LOCK.read_text("utf-8").replace("\\\n", " ").splitlines()

    assert requirements
    assert [] == [line for line in requirements if "==" not in line or " --hash=sha256:" not in line]
    assert [] == [line for line in requirements if "://" in line or "index" in line.split("--hash", 1)[0] or " @ " in line]
