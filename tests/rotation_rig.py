"""A rotation as it happens: commands of `gen` in this process, and customers who apply the module that is written."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from command_rig import Ended
from onboard_rig import ACCOUNT, ROLE, Stage
from rolecall_generator.cli import app as gen_app
from rolecall_generator.manifest.load import load_manifest
from rolecall_generator.manifest.models import Customer
from rolecall_generator.parse import parse_module
from rolecall_runner.sandbox.operator import Operator


def gen(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `gen` in a folder as its entry point does, without a terminal; its AWS variables are those of `environ` alone."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    plain = {"NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb", "HOME": str(cwd)}
    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(cwd)
    code = 0
    try:
        with (
            mock.patch.dict(os.environ, {**kept, **plain, **(environ or {})}, clear=True),
            mock.patch("sys.argv", ["gen", *map(str, arguments)]),
            mock.patch("sys.stdin", io.StringIO()),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            gen_app(prog_name="gen")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        os.chdir(before)
    return Ended(code, out.getvalue(), err.getvalue())


def applied(stage: Stage, name: str = "account1") -> None:
    """The customer applies the module as it is written now: its role gets that trust policy."""
    parsed = parse_module(stage.folder / "output" / "customers" / name, account_id=ACCOUNT)
    trust = next(role.trust for role in parsed.access.roles.values())
    assert trust is not None
    with (operator := Operator(stage.world.sandbox.url)).acting_in(ACCOUNT):
        iam = operator.client("iam")
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust.to_json()))


def customer_of(folder: Path, name: str = "account1") -> Customer:
    """A customer as the folder's manifest has it."""
    manifest = load_manifest(folder / "accounts.yaml").manifest
    return next(customer for customer in manifest.customers if customer.name == name)
