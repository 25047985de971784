"""A rotation from its start to its end, with the real commands and the real SDK in the sandbox: nothing stops meanwhile."""

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
    """A sandbox with the notes' accounts, all of which have applied their modules."""
    with staged(NOTES, tmp_path_factory.mktemp("fleet")) as found:
        yield found


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """The notes' manifest as it was, written and applied; nothing is known yet."""
    (shared.folder / "accounts.yaml").write_bytes(NOTES.read_bytes())
    for path in (shared.folder / "output").glob("*status*.json"):
        path.unlink()
    (shared.folder / "output" / "rolecall.rotations.json").unlink(missing_ok=True)
    assert 0 == gen("terraform", "--no-check", cwd=shared.folder).code
    applied(shared)
    return shared


def applied(stage: Stage) -> None:
    """The customer applies the module as it is written now: its role gets that trust policy."""
    parsed = parse_module(stage.folder / "output" / "customers" / "account1", account_id=ACCOUNT)
    trust = next(role.trust for role in parsed.access.roles.values())
    assert trust is not None
    with (operator := AdminClient(stage.world.sandbox.url)).acting_in(ACCOUNT):
        iam = operator.client("iam")
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(trust.to_json()))


def customer_of(folder: Path) -> Customer:
    """account1 as the folder's manifest has it."""
    manifest = load_manifest(folder / "accounts.yaml").manifest
    return next(customer for customer in manifest.customers if customer.name == "account1")


def rotate(stage: Stage, *options: str) -> Ended:
    """A step of the rotation, and the modules that follow from it."""
    done = gen("customer", "rotate-external-id", "account1", "--yes", *options, cwd=stage.folder, environ=stage.environ)
    written = gen("terraform", "--no-check", cwd=stage.folder)
    assert 0 == written.code, written.err
    return done


def verify(stage: Stage, *options: str) -> Ended:
    return runner("verify", "--limit", "account1", "--actions", "none", *options, cwd=stage.folder, environ=stage.environ)


def works(stage: Stage) -> bool:
    """Whether daily work goes on: a query, a play, and a program run as the customer's role."""
    (stage.folder / "play.yaml").write_text(PLAY, "utf-8")
    query = runner("query", "sts", "get-caller-identity", "--limit", "account1", cwd=stage.folder, environ=stage.environ)
    play = runner("play", "play.yaml", cwd=stage.folder, environ=stage.environ)
    shell = runner("shell", "account1", "--", "true", cwd=stage.folder, environ=stage.environ)
    return (query.code, play.code, shell.code) == (0, 0, 0)


def test_a_whole_rotation(stage: Stage) -> None:
    """Start, apply, finish, apply: daily work goes on all the time, and each roll call says how far it is."""
    old = customer_of(stage.folder).external_id

    assert 0 == rotate(stage, "--external-id", NEW).code
    assert (NEW, old) == (customer_of(stage.folder).external_id, customer_of(stage.folder).previous_external_id)
    before = verify(stage)
    assert (0, True) == (before.code, "rotation: account1 accepted only the previous external ID" in before.out), before.out
    assert works(stage)
    refused = rotate(stage, "--finish")
    assert (1, True) == (refused.code, "account1 is not known to accept its new external id" in refused.err)
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


def test_a_customer_that_goes_back_to_the_old_module_cannot_be_finished(stage: Stage) -> None:
    """The latest roll call counts: the new id was seen once, and is not taken any more."""
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

    assert (1, True) == (done.code, "not known to accept its new external id" in done.err)


def test_an_aborted_rotation_goes_back_and_retires_the_new_id(stage: Stage) -> None:
    """The old id counts again; a customer that had applied must apply once more, until then the roll call says so."""
    old = customer_of(stage.folder).external_id
    rotate(stage, "--external-id", NEW)
    applied(stage)

    assert 0 == rotate(stage, "--abort").code
    assert (old, None) == (customer_of(stage.folder).external_id, customer_of(stage.folder).previous_external_id)
    late = verify(stage)
    assert (1, True, True) == (late.code, "[retired-external-id]" in late.out, works(stage)), late.out
    applied(stage)
    assert 0 == verify(stage).code


def test_a_forced_end_warns_and_is_done(stage: Stage) -> None:
    """`--force` ends what was never seen; the warning says what it may cost."""
    rotate(stage, "--external-id", NEW)
    done = rotate(stage, "--finish", "--force")

    assert (0, True) == (done.code, "its role may refuse access until the customer applies the module" in done.out), done.err
    assert None is customer_of(stage.folder).previous_external_id
