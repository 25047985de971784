"""A fake `terraform` that creates nothing: for tests of the code around it.

It is configured by FAKE_LOG (a file: one line per call, `COMMAND MODULE`), FAKE_FAIL (`COMMAND MODULE`, the call that
fails) and FAKE_PROVIDER (the provider version that it reports).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ERROR = """\
╷
│ Error: the fake was told to fail
│
│   with module.it,
╵
"""


def main(command: str) -> int:
    folder = Path.cwd()
    module = folder.as_posix().partition("/workspaces/")[2] or folder.name
    with Path(os.environ["FAKE_LOG"]).open("a") as log:
        log.write(f"{command} {module}\n")
    if command == "version":
        selections = {"registry.terraform.io/hashicorp/aws": os.environ.get("FAKE_PROVIDER", "6.0.0")}
        sys.stdout.write(json.dumps({"terraform_version": "1.11.4", "provider_selections": selections}))
    if command == "env":
        sys.stdout.write(json.dumps(dict(os.environ)))
    if os.environ.get("FAKE_FAIL") == f"{command} {module}":
        sys.stdout.write("Planning...\n")
        sys.stderr.write(ERROR)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
