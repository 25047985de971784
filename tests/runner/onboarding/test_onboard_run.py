"""Onboarding in the sandbox, from a missing role to a recorded verdict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from manifests import NOTES
from onboard_rig import START, Day, Stage, staged
from rolecall_generator.bundle.build import BundleOptions
from rolecall_generator.bundle.bundles import write_bundles
from rolecall_generator.errors import CallerError, SelectionError
from rolecall_generator.generate import generate
from rolecall_generator.records import status_path
from rolecall_runner.aws.caller import AwsConfig
from rolecall_runner.execution.interface import EngineSettings, ExecutionOptions, Runtime
from rolecall_runner.execution.journal import list_runs
from rolecall_runner.onboarding import OnboardingResult, PollAttempt, PollOptions, onboard
from rolecall_runner.status.status_file import read_status
from rolecall_runner.verify.context import RunConfig

FIRST_WORDS = (
    "AWS refuses: the role does not exist, or it refuses our external ID, or its trust policy names another principal"
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A sandbox with the example accounts, where account1 has not applied its module."""
    with staged(NOTES, tmp_path_factory.mktemp("fleet")) as found:
        found.take_away()
        yield found


@pytest.fixture
def folder(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of manifest and modules, with the backend role's environment; account1's role does not exist at first."""
    for key, value in stage.environ.items():
        monkeypatch.setenv(key, value)
    shutil.copytree(stage.folder, tmp_path / "fleet")
    return tmp_path / "fleet"


@pytest.fixture
def restored(stage: Stage) -> Iterator[None]:
    yield
    stage.take_away()


def run(
    stage: Stage,
    folder: Path,
    day: Day,
    poll_options: PollOptions | None = None,
    runtime: Runtime | None = None,
    *,
    name: str = "account1",
    warned: list[str] | None = None,
) -> tuple[OnboardingResult, list[PollAttempt]]:
    """Onboard a customer and return the attempts of the wait. Warnings are added to `warned`."""
    heard: list[PollAttempt] = []
    start = RunConfig(
        folder / "accounts.yaml", folder / "output", aws=AwsConfig(endpoint_url=stage.world.sandbox.url, workers=1)
    )
    ended = onboard(
        start,
        name,
        poll_options=poll_options or PollOptions(),
        options=ExecutionOptions(settings=EngineSettings(workers=1), runs=folder / "runs"),
        runtime=runtime or day.runtime(),
        on_attempt=heard.append,
        warn=(warned if warned is not None else []).append,
    )
    return ended, heard


def warnings_of(stage: Stage, folder: Path) -> list[str]:
    warned: list[str] = []
    run(stage, folder, Day(), PollOptions(once=True), warned=warned)
    return warned


def bundled(folder: Path) -> None:
    """account1's bundle, built from the modules of the current manifest."""
    choices = BundleOptions(names=("account1",))
    write_bundles(folder / "accounts.yaml", folder / "output", choices)


def entry(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "output" / "status.sandbox.json").read_text())["customers"]["account1"]
    return found


@pytest.mark.usefixtures("restored")
def test_missing_role_is_waited_for_and_verified(stage: Stage, folder: Path) -> None:
    """Waits for the role, verifies it, records verdict and dates, and writes the customer message."""

    def apply() -> None:
        stage.make_role()
        stage.make_policies()

    day = Day([lambda: None, apply])
    ended, heard = run(stage, folder, day)
    found = entry(folder)

    assert ended.verified, ended.verdict
    assert [FIRST_WORDS, FIRST_WORDS, "the role can be assumed"] == [each.what for each in heard]
    assert START.isoformat() == found["handed_over"]["date"]
    assert (START + timedelta(seconds=12)).isoformat() == found["verified"]["date"]
    assert (ended.run, found["handed_over"]["module"]) == (found["verified"]["run"], found["verified"]["module"])
    assert "failed" not in found
    assert [ended.run] == [record.run_id for record in list_runs(folder / "runs")]
    assert "the access to your AWS account 222222222222 was checked: everything is as agreed (2026-11-24)." in ended.message


@pytest.mark.usefixtures("restored")
def test_policies_created_after_the_role_are_waited_for(stage: Stage, folder: Path) -> None:
    """Terraform creates the role first: the first verify run sees half of the apply, the second all of it."""
    ended, heard = run(stage, folder, Day([stage.make_role, stage.make_policies]))

    assert ended.verified, ended.verdict
    assert [5.0, None, 30.0] == [each.pause_seconds for each in heard]
    assert 2 == len(list_runs(folder / "runs"))


@pytest.mark.usefixtures("restored")
def test_persistent_failure_ends_with_customer_message(stage: Stage, folder: Path) -> None:
    """After three verify runs, verdict, cause and customer message are those of the last run."""
    stage.make_role()
    ended, _ = run(stage, folder, Day())

    assert (False, True) == (ended.verified, ended.last.can_assume)
    assert 3 == len(list_runs(folder / "runs"))
    assert "permission-missing" in entry(folder)["failed"]["causes"]
    assert "terraform apply" in ended.message
    assert "account2" not in ended.message


def test_timeout_without_apply_reports_no_failure(stage: Stage, folder: Path) -> None:
    """The missing role is not reported as failed, and the customer message explains what to do."""
    ended, heard = run(stage, folder, Day(), PollOptions(every_seconds=60, timeout_seconds=90))

    assert (False, "", 90) == (ended.verified, ended.run, ended.last.waited_seconds)
    assert [] == list_runs(folder / "runs")
    assert {FIRST_WORDS} == {each.what for each in heard}
    assert "1. We cannot assume the role role1 in your account 222222222222" in ended.message
    assert ["role-missing"] == entry(folder)["failed"]["causes"][:1]
    assert "applied" not in entry(folder)


def test_ctrl_c_keeps_recorded_handover(stage: Stage, folder: Path) -> None:
    """After Ctrl-C during a pause the handover is in the status file, and no verify run starts."""
    day = Day()
    runtime = day.runtime()
    day.in_pauses.append(runtime.stop.set)
    ended, heard = run(stage, folder, day, runtime=runtime)

    assert (1, "") == (len(heard), ended.run)
    assert START.isoformat() == entry(folder)["handed_over"]["date"]


def test_recorded_handover_keeps_its_date(stage: Stage, folder: Path) -> None:
    """The same module is not recorded again; a bundle built since then is."""
    run(stage, folder, Day(), PollOptions(once=True))
    later = replace(Day().runtime(), now=lambda: START + timedelta(days=1))
    run(stage, folder, Day(), PollOptions(once=True), later)
    same = entry(folder)["handed_over"]
    (folder / "output" / "bundles" / "account1" / "terraform").mkdir(parents=True)
    (folder / "output" / "bundles" / "account1" / "SHA256SUMS").write_text("0  README.md\n")
    ended, _ = run(stage, folder, Day(), PollOptions(once=True), later)
    anew = entry(folder)["handed_over"]

    assert (START.isoformat(), "") == (same["date"], same["bundle"])
    assert (START + timedelta(days=1)).isoformat() == anew["date"]
    assert (64, same["module"]) == (len(anew["bundle"]), anew["module"])
    assert "The newest files are in account1.zip, sent on 2026-11-25" in ended.message


@pytest.mark.usefixtures("restored")
def test_previous_external_id_does_not_count_as_apply(stage: Stage, folder: Path) -> None:
    """During a rotation the wait is for the new ID; acceptance of the old one is reported, without a verdict."""
    stage.make_role()
    stage.make_policies()
    path = folder / "accounts.yaml"
    old = '"0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"'
    path.write_text(path.read_text().replace(old, f'"the-new-external-id", previous_external_id: {old}'))
    ended, heard = run(stage, folder, Day(), PollOptions(once=True))

    assert (False, "") == (ended.verified, ended.run)
    assert ["it accepts only the previous external ID"] == [each.what for each in heard]
    assert "still has our previous external" in ended.message
    assert {"role_arn", "handed_over", "versions"} == set(entry(folder))


@pytest.mark.usefixtures("restored")
def test_outdated_module_or_bundle_is_a_warning(stage: Stage, folder: Path) -> None:
    """Applying it cannot end the wait, so the customer message does not request it."""
    stage.make_role()
    bundled(folder)
    fresh = warnings_of(stage, folder)
    path = folder / "accounts.yaml"
    old = '"0f0c4f7c1e6b4a1d9a52b7c3d8e9f101"'
    path.write_text(path.read_text().replace(old, f'"the-new-external-id", previous_external_id: {old}'))
    changed = warnings_of(stage, folder)
    generate(path, folder / "output")
    ended, _ = run(stage, folder, Day(), PollOptions(once=True))
    written = warnings_of(stage, folder)
    bundled(folder)

    assert ([], []) == (fresh, warnings_of(stage, folder))
    assert [
        (
            "the generated module does not have the manifest's external ID: "
            "run gen terraform and gen bundle account1, then send the bundle"
        )
    ] == changed
    assert ["the bundle is older than the module: run gen bundle account1, then send the bundle"] == written
    assert "account1.zip" not in ended.message


def test_customer_takes_precedence_over_switch_role_of_same_name(stage: Stage, folder: Path) -> None:
    """Also in the verify run."""
    path = folder / "accounts.yaml"
    path.write_text(path.read_text().replace("reena-in-sumesh", "account2"))
    ended, _ = run(stage, folder, Day(), name="account2")

    assert (True, "customer") == (ended.verified, ended.verdict.kind)


def test_customer_of_another_backend_role_is_refused(stage: Stage, folder: Path) -> None:
    """The message names the required role, and no verify run is recorded."""
    path = folder / "accounts.yaml"
    roles = "roles: [{name: one, existing: true}, {name: backend_role, existing: true}]"
    text = path.read_text().replace("role: {name: backend_role, existing: true}", roles)
    path.write_text(text.replace("role: role1,", "role: role1, backend_role: one,"))

    with pytest.raises(CallerError, match="It trusts one, another backend role"):
        run(stage, folder, Day())
    assert "last_run" not in entry(folder)


def test_switch_role_or_unknown_name_is_refused(stage: Stage, folder: Path) -> None:
    """A switch role has no onboarding; an unknown name gets a suggestion."""
    for name, words in (("reena-in-sumesh", "runner verify --limit reena-in-sumesh"), ("acount1", "did you mean account1?")):
        with pytest.raises(SelectionError) as caught:
            run(stage, folder, Day(), name=name)
        assert words in str(caught.value)
    assert {} == read_status(status_path(folder / "output", rehearsal=True)).entries
