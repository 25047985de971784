"""`runner play` with a sandbox of its own: accounts that do not answer, and a run that starts and ends its sandbox."""

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


def test_an_account_that_does_not_answer_is_not_a_failed_one(tmp_path: Path) -> None:
    """When all that went wrong is that no one answered, the exit code is 9; it is not ignored, since nothing is known."""
    write(tmp_path, accounts__yaml=manifest_text(["one", "two"]), play__yaml=TEXT)

    done = run_play(
        "play.yaml", "--sandbox", "--faults", "5xx=1.0,at-most=1000,accounts=200000000000,actions=ec2:*,seed=1",
        "--timeout", "20", cwd=tmp_path,
    )  # fmt: skip

    assert 9 == done.code, done.out + done.err
    assert "fatal: [one]: INCONCLUSIVE! => " in done.out
    assert "ok: [two] => 2 rows" in done.out
