"""`runner play` with its own sandbox: inconclusive accounts, and start and stop of the sandbox."""

from __future__ import annotations

from pathlib import Path

from play_rig import run_play, write
from query_rig import manifest_text

TEXT = """
- hosts: all
  tasks:
    - query: {service: ec2, operation: describe_vpcs}
      ignore_errors: true
"""


def test_inconclusive_account_is_not_failed(tmp_path: Path) -> None:
    """If no account failed but one is inconclusive, the exit code is 9; `ignore_errors` does not apply."""
    write(tmp_path, accounts__yaml=manifest_text(["one", "two"]), play__yaml=TEXT)

    done = run_play(
        "play.yaml", "--sandbox", "--faults", "5xx=1.0,at-most=1000,accounts=200000000000,actions=ec2:*,seed=1",
        "--timeout", "20", cwd=tmp_path,
    )  # fmt: skip

    assert 9 == done.code, done.out + done.err
    assert "fatal: [one]: INCONCLUSIVE! => " in done.out
    assert "ok: [two] => 2 rows" in done.out
