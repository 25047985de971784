"""An external ID rotation: two fields of one customer change, the new ID must be accepted first, the old ID is recorded."""

from __future__ import annotations

import hashlib
import json
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rolecall_generator.customers.rotation import (
    UnverifiedIdError,
    abort_rotation,
    finish_rotation,
    read_accepted_ids,
    start_rotation,
)
from rolecall_generator.errors import OutputError, SelectionError
from rolecall_generator.manifest.editing.text_edits import EditedManifestError
from rolecall_generator.records import STATUS_VERSION, Rotation, change_rotations, read_rotations

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
TEXT = """\
version: 1
backend: {account_id: "111111111111"}
customers:
  # the first of all
  - name: acme
    account_id: "222222222222"
    external_id: old-id # made in 2024
  - {name: beta, account_id: "333333333333", external_id: of-beta}
  - {name: open, account_id: "444444444444"}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest with three customers; its output folder does not exist yet."""
    path = tmp_path / "accounts.yaml"
    path.write_text(TEXT, "utf-8")
    return path


def started(manifest: Path, external_id: str = "new-id") -> Path:
    """The output folder of a manifest with a rotation of acme's external ID in progress."""
    out = manifest.parent / "output"
    start_rotation(manifest, out, "acme", now=NOW, external_id=external_id).write()
    return out


def seen(out: Path, external_id: str, name: str = "status.json") -> None:
    """Record that `runner verify` assumed acme's role with an external ID."""
    entry = {"external_id_seen": {"sha256": hashlib.sha256(external_id.encode()).hexdigest(), "date": NOW.isoformat()}}
    out.mkdir(exist_ok=True)
    (out / name).write_text(json.dumps({"version": 1, "customers": {"acme": entry}}), "utf-8")


def test_start_keeps_old_id_next_to_the_new_one(manifest: Path) -> None:
    """Two lines change, and comments are kept; the record has the start time."""
    out = started(manifest)
    text = manifest.read_text("utf-8")

    assert (
        TEXT.replace(
            "    external_id: old-id # made in 2024\n",
            '    external_id: "new-id" # made in 2024\n    previous_external_id: "old-id"\n',
        )
        == text
    )
    assert {"acme": Rotation("2026-11-24T12:00:00+00:00")} == read_rotations(out)


def test_proposal_writes_nothing(manifest: Path) -> None:
    """Neither manifest nor record changes before confirmation."""
    start_rotation(manifest, manifest.parent / "output", "acme", now=NOW)

    assert (TEXT, False) == (manifest.read_text("utf-8"), (manifest.parent / "output").exists())


@pytest.mark.parametrize(
    ("name", "external_id", "error", "said"),
    [
        ("acne", None, SelectionError, "no customer acne"),
        ("open", None, SelectionError, "has no external ID to rotate"),
        ("acme", "of-beta", EditedManifestError, "is the same as that of customer"),
        ("acme", "old-id", EditedManifestError, "previous_external_id is the same as external_id"),
        ("acme", "has space", EditedManifestError, "is not a valid external ID"),
        ("acme", "", SelectionError, "the new external ID is empty"),
    ],
)
def test_invalid_start_is_rejected(
    manifest: Path, name: str, external_id: str | None, error: type[Exception], said: str
) -> None:
    """An unknown name, a customer without external ID, and a new ID that is in use, invalid or empty."""
    with pytest.raises(error, match=said):
        start_rotation(manifest, manifest.parent / "output", name, now=NOW, external_id=external_id)

    assert TEXT == manifest.read_text("utf-8")


def test_second_rotation_at_the_same_time_is_rejected(manifest: Path) -> None:
    """It would lose the ID that the customer has applied; the error has the start time of the rotation in progress."""
    out = started(manifest)
    with pytest.raises(SelectionError, match="is in progress since 2026-11-24T12:00:00") as caught:
        start_rotation(manifest, out, "acme", now=LATER)

    assert "--finish" in str(caught.value.hint)


@pytest.mark.parametrize("end", [finish_rotation, abort_rotation])
def test_finish_and_abort_require_a_rotation_in_progress(manifest: Path, end: object) -> None:
    assert callable(end)
    with pytest.raises(SelectionError, match="no rotation of acme's external ID is in progress"):
        end(manifest, manifest.parent / "output", "acme", now=LATER)


@pytest.mark.parametrize("what", ["nothing", "the old id", "a sandbox", "another customer"])
def test_finish_requires_accepted_new_id(manifest: Path, what: str) -> None:
    """The new ID must have been accepted by AWS, and by this customer's role."""
    out = started(manifest)
    if what == "the old id":
        seen(out, "old-id")
    elif what == "a sandbox":
        seen(out, "new-id", "status.sandbox.json")
    elif what == "another customer":
        (out / "status.json").write_text('{"version": 1, "customers": {"beta": {}}}', "utf-8")
    with pytest.raises(UnverifiedIdError, match="acme is not known to accept its new external ID") as caught:
        finish_rotation(manifest, out, "acme", now=LATER)

    assert "runner verify --limit acme" in str(caught.value.hint)


@pytest.mark.parametrize("rehearsal", [True, False])
def test_finish_removes_old_id_and_records_it_as_retired(manifest: Path, rehearsal: bool) -> None:
    """The manifest has only the new ID; the role must reject the recorded one from then on."""
    out = started(manifest)
    seen(out, "new-id", "status.sandbox.json" if rehearsal else "status.json")
    finish_rotation(manifest, out, "acme", now=LATER, rehearsal=rehearsal).write()

    assert TEXT.replace("external_id: old-id", 'external_id: "new-id"') == manifest.read_text("utf-8")
    assert {"acme": Rotation("2026-11-24T12:00:00+00:00", "2026-12-01T09:30:00+00:00", "old-id")} == read_rotations(out)


def test_abort_restores_old_id(manifest: Path) -> None:
    """The new ID is recorded as retired."""
    out = started(manifest)
    abort_rotation(manifest, out, "acme", now=LATER).write()

    assert TEXT.replace("external_id: old-id", 'external_id: "old-id"') == manifest.read_text("utf-8")
    assert "new-id" == read_rotations(out)["acme"].retired


def test_forced_finish_has_warning(manifest: Path) -> None:
    """It is printed before the confirmation."""
    out = started(manifest)
    proposal = finish_rotation(manifest, out, "acme", now=LATER, force=True)

    assert [
        "acme is not known to accept its new external ID; its role may refuse access until the customer applies the module"
    ] == [*proposal.notes]


def test_rotation_without_record_can_be_finished(manifest: Path) -> None:
    """Both IDs in the manifest are sufficient."""
    manifest.write_text(TEXT.replace("old-id # made in 2024", "new-id\n    previous_external_id: old-id"), "utf-8")
    out = manifest.parent / "output"
    seen(out, "new-id")
    finish_rotation(manifest, out, "acme", now=LATER).write()

    assert "old-id" == read_rotations(out)["acme"].retired


def test_retired_id_is_kept_during_the_next_rotation(manifest: Path) -> None:
    """The role must reject it until the next rotation ends."""
    out = started(manifest)
    seen(out, "new-id")
    finish_rotation(manifest, out, "acme", now=LATER).write()
    start_rotation(manifest, out, "acme", now=LATER, external_id="third").write()

    assert Rotation("2026-12-01T09:30:00+00:00", "", "old-id") == read_rotations(out)["acme"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"version": 1}', '{"version": 1, "rotations": {"acme": {"started": "2026-11-24"}}}',
     '{"version": 1, "rotations": {"acme": {"started": "2026-11-24T12:00:00+00:00", "retired": 5}}}', '{"version": 2}'],
)  # fmt: skip
def test_invalid_record_is_error_with_hint(tmp_path: Path, text: str) -> None:
    """It is not treated as an empty record."""
    (tmp_path / "rolecall.rotations.json").write_text(text, "utf-8")
    with pytest.raises(OutputError, match="record of rotations") as caught:
        read_rotations(tmp_path)

    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"customers": {"acme": 5}}', '{"version": 1, "customers": {"acme": {"external_id_seen": {}}}}',
     '{"version": 1, "customers": {"acme": {"external_id_seen": {"sha256": "", "date": "soon"}}}}',
     f'{{"version": {STATUS_VERSION + 1}, "customers": {{}}}}'],
)  # fmt: skip
def test_invalid_status_file_is_error(tmp_path: Path, text: str) -> None:
    """It does not count as an accepted ID."""
    (tmp_path / "status.json").write_text(text, "utf-8")
    with pytest.raises(OutputError, match="status file"):
        read_accepted_ids(tmp_path).first_accepted("acme", "id")


@pytest.mark.parametrize("name", ["b", "gen", "e"])
def test_next_steps_are_valid_for_short_names(tmp_path: Path, name: str) -> None:
    """For a customer whose name is part of the commands, too, each step can be copied."""
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("acme", name), "utf-8")
    steps = start_rotation(other, tmp_path, name, now=NOW).steps

    assert f"gen customer rotate-external-id {name} --finish --manifest {other} --out {tmp_path}" == steps[-1].command


def test_changed_manifest_leaves_record_unchanged(manifest: Path) -> None:
    """If the manifest is edited before the confirmation, neither manifest nor record is written."""
    out = started(manifest)
    before = read_rotations(out)
    for name, proposal in (
        ("acme", abort_rotation(manifest, out, "acme", now=LATER)),
        ("beta", start_rotation(manifest, out, "beta", now=LATER)),
    ):
        manifest.write_text(f"{manifest.read_text('utf-8')}# {name}\n", "utf-8")
        with pytest.raises(OutputError, match="has changed since it was read"):
            proposal.write()

    assert before == read_rotations(out)


def test_failed_write_of_record_leaves_no_temporary_file(tmp_path: Path) -> None:
    """The previous record is kept, and the error names the file."""
    change_rotations(tmp_path, lambda _before: {"acme": Rotation(NOW.isoformat())})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limit[1]))  # simulates a full disk: the kernel rejects further bytes
    try:
        with pytest.raises(OutputError, match=r"rolecall\.rotations\.json"):
            change_rotations(tmp_path, lambda before: {**before, "beta": Rotation(NOW.isoformat())})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert ["rolecall.rotations.json"] == [path.name for path in tmp_path.iterdir()]
    assert ["acme"] == list(read_rotations(tmp_path))


def test_changes_of_record_are_cumulative(tmp_path: Path) -> None:
    """Each change starts from the current record and leaves no temporary file."""
    for name in ("b", "a"):
        change_rotations(tmp_path / "new", lambda before, name=name: {**before, name: Rotation(NOW.isoformat())})  # type: ignore[misc]

    assert ["a", "b"] == list(read_rotations(tmp_path / "new"))
    assert ["rolecall.rotations.json"] == [path.name for path in (tmp_path / "new").iterdir()]
