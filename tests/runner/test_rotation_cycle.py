"""A complete rotation with the real commands and boto3 in the sandbox: access is never interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_rig import Ended, gen, runner
from manifests import NOTES
from onboard_rig import ACCOUNT, ROLE, Stage, staged
from rolecall_generator.manifest.loader import load_manifest
from rolecall_generator.manifest.models import Customer
from rolecall_generator.terraform.parser.parse import parse_module
from rolecall_runner.sandbox.provisioning.provision import AdminClient

NEW = "the-new-external-id"
PLAY = "- hosts: account1\n  tasks:\n    - query: {service: sts, operation: get_caller_identity}\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sandbox with the example accounts, all of which have applied their modules."""
    with staged(NOTES, tmp_path_factory.mktemp("fleet")) as found:
        yield found


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """The original manifest of the examples, written and applied, with an empty status."""
    (shared.folder / "accounts.yaml").write_bytes(NOTES.read_bytes())
    for path in (shared.folder / "output").glob("*status*.json"):
        path.unlink()
    (shared.folder / "output" / "rolecall.rotations.json").unlink(missing_ok=True)
    assert 0 == gen("terraform", "--no-check", cwd=shared.folder).code
    applied(shared)
    return shared


def applied(stage: Stage) -> None:
    """Apply the current module for the customer: its role gets that trust policy."""
    parsed = parse_module(stage.folder / "output" / "customers" / "account1", account_id=ACCOUNT)
    trust = next(role.trust for role in parsed.access.roles.values())
    assert trust is not None
    with (operator := AdminClient(stage.world.sandbox.url)).acting_in(ACCOUNT):
        iam = operator.client("iam")
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust.to_json()))


def customer_of(folder: Path) -> Customer:
    """account1 in the folder's manifest."""
    manifest = load_manifest(folder / "accounts.yaml").manifest
    return next(customer for customer in manifest.customers if customer.name == "account1")


def rotate(stage: Stage, *options: str) -> Ended:
    """Run a step of the rotation and generate the modules."""
    done = gen("customer", "rotate-external-id", "account1", "--yes", *options, cwd=stage.folder, environ=stage.environ)
    written = gen("terraform", "--no-check", cwd=stage.folder)
    assert 0 == written.code, written.err
    return done


def verify(stage: Stage, *options: str) -> Ended:
    return runner("verify", "--limit", "account1", "--actions", "none", *options, cwd=stage.folder, environ=stage.environ)


def works(stage: Stage) -> bool:
    """Whether a query, a play, and a program run as the customer's role all succeed."""
    (stage.folder / "play.yaml").write_text(PLAY, "utf-8")
    query = runner("query", "sts", "get-caller-identity", "--limit", "account1", cwd=stage.folder, environ=stage.environ)
    play = runner("play", "play.yaml", cwd=stage.folder, environ=stage.environ)
    shell = runner("shell", "account1", "--", "true", cwd=stage.folder, environ=stage.environ)
    return (query.code, play.code, shell.code) == (0, 0, 0)


def test_complete_rotation(stage: Stage) -> None:
    """Start, apply, finish, apply: access works in every state, and each verify run reports it."""
    old = customer_of(stage.folder).external_id

    assert 0 == rotate(stage, "--external-id", NEW).code
    assert (NEW, old) == (customer_of(stage.folder).external_id, customer_of(stage.folder).previous_external_id)
    before = verify(stage)
    assert (0, True) == (before.code, "rotation: account1 accepted only the previous external ID" in before.out), before.out
    assert works(stage)
    refused = rotate(stage, "--finish")
    assert (1, True) == (refused.code, "account1 is not known to accept its new external ID" in refused.err)
    assert old == customer_of(stage.folder).previous_external_id

    applied(stage)
    between = verify(stage)
    said = "rotation: account1 accepted the new external ID: finish with gen customer rotate-external-id account1 --finish"
    assert (0, True) == (between.code, said in between.out), between.out
    assert works(stage)

    assert 0 == rotate(stage, "--finish").code
    assert (NEW, None) == (customer_of(stage.folder).external_id, customer_of(stage.folder).previous_external_id)
    late = verify(stage)
    assert (1, True) == (late.code, "[retired-external-id]" in late.out), late.out
    assert works(stage)

    applied(stage)
    after = verify(stage, "--format", "json")
    checks = json.loads(after.out)["verdicts"][0]["checks"]
    assert (0, ["refused"]) == (
        after.code,
        [check["mark"] for check in checks if check["evidence"].get("external_id") == "retired"],
    )


def test_rotation_cannot_finish_after_customer_reverts(stage: Stage) -> None:
    """The latest verify run counts: the new ID was accepted once and is now refused."""
    old_trust = (stage.folder / "output" / "customers" / "account1" / "main.tf").read_text("utf-8")
    rotate(stage, "--external-id", NEW)
    applied(stage)
    verify(stage)
    module = stage.folder / "output" / "customers" / "account1" / "main.tf"
    new_trust = module.read_text("utf-8")
    module.write_text(old_trust, "utf-8")
    applied(stage)
    module.write_text(new_trust, "utf-8")
    verify(stage)
    done = rotate(stage, "--finish")

    assert (1, True) == (done.code, "not known to accept its new external ID" in done.err)


def test_aborted_rotation_restores_old_id_and_retires_new_one(stage: Stage) -> None:
    """A customer that had applied the new module must apply again, and verify runs report it until then."""
    old = customer_of(stage.folder).external_id
    rotate(stage, "--external-id", NEW)
    applied(stage)

    assert 0 == rotate(stage, "--abort").code
    assert (old, None) == (customer_of(stage.folder).external_id, customer_of(stage.folder).previous_external_id)
    late = verify(stage)
    assert (1, True, True) == (late.code, "[retired-external-id]" in late.out, works(stage)), late.out
    applied(stage)
    assert 0 == verify(stage).code


def test_forced_finish_warns(stage: Stage) -> None:
    """`--force` finishes a rotation whose new ID was never accepted; the warning has the consequences."""
    rotate(stage, "--external-id", NEW)
    done = rotate(stage, "--finish", "--force")

    assert (0, True) == (done.code, "its role may refuse access until the customer applies the module" in done.out), done.err
    assert None is customer_of(stage.folder).previous_external_id
