"""A rotation changes two fields of one customer, ends only when the new id was seen, and leaves a record of what went."""

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
    """A manifest of three customers; the output folder next to it is not there yet."""
    path = tmp_path / "accounts.yaml"
    path.write_text(TEXT, "utf-8")
    return path


def started(manifest: Path, external_id: str = "new-id") -> Path:
    """The output folder of a manifest in which acme's rotation was started."""
    out = manifest.parent / "output"
    start_rotation(manifest, out, "acme", now=NOW, external_id=external_id).write()
    return out


def seen(out: Path, external_id: str, name: str = "status.json") -> None:
    """Let `runner verify` have seen an external ID of acme's."""
    entry = {"external_id_seen": {"sha256": hashlib.sha256(external_id.encode()).hexdigest(), "date": NOW.isoformat()}}
    out.mkdir(exist_ok=True)
    (out / name).write_text(json.dumps({"version": 1, "customers": {"acme": entry}}), "utf-8")


def test_a_start_puts_the_old_id_beside_the_new_one(manifest: Path) -> None:
    """Two lines change, all else stays, comments too; the record says when it started."""
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


def test_a_fresh_id_is_made_where_none_is_given(manifest: Path) -> None:
    """128 random bits by default; here what the caller hands in."""
    proposal = start_rotation(manifest, manifest.parent / "output", "acme", now=NOW, make_id=lambda: "fresh-id")

    assert "fresh-id" == proposal.edited.after.manifest.customers[0].external_id


def test_a_proposal_writes_nothing(manifest: Path) -> None:
    """Neither manifest nor record changes before someone agrees."""
    start_rotation(manifest, manifest.parent / "output", "acme", now=NOW)

    assert (TEXT, False) == (manifest.read_text("utf-8"), (manifest.parent / "output").exists())


def test_the_difference_says_that_one_more_id_is_accepted(manifest: Path) -> None:
    """In the words of `gen diff`, of one module alone."""
    proposal = start_rotation(manifest, manifest.parent / "output", "acme", now=NOW, external_id="new-id")

    assert [["customers/acme", ["acme/VendorAccess also accepts external ID new-id"]]] == [
        [module.path, [change.text for change in module.changes]] for module in proposal.difference.modules
    ]


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
def test_a_start_that_cannot_be_right_is_refused(
    manifest: Path, name: str, external_id: str | None, error: type[Exception], said: str
) -> None:
    """A name that is not there, a customer without an id, an id of someone else's or none that AWS takes."""
    with pytest.raises(error, match=said):
        start_rotation(manifest, manifest.parent / "output", name, now=NOW, external_id=external_id)

    assert TEXT == manifest.read_text("utf-8")


def test_one_rotation_at_a_time(manifest: Path) -> None:
    """A second start would lose the id that the customer has; the message says since when the first is under way."""
    out = started(manifest)
    with pytest.raises(SelectionError, match="is in progress since 2026-11-24T12:00:00") as caught:
        start_rotation(manifest, out, "acme", now=LATER)

    assert "--finish" in str(caught.value.hint)


@pytest.mark.parametrize("end", [finish_rotation, abort_rotation])
def test_there_must_be_a_rotation_to_end(manifest: Path, end: object) -> None:
    """Finish and abort name the command that starts one."""
    assert callable(end)
    with pytest.raises(SelectionError, match="no rotation of acme's external ID is in progress"):
        end(manifest, manifest.parent / "output", "acme", now=LATER)


@pytest.mark.parametrize("what", ["nothing", "the old id", "a sandbox", "another customer"])
def test_a_rotation_ends_only_when_the_new_id_was_seen(manifest: Path, what: str) -> None:
    """Seen by AWS, of this customer, and the new one."""
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
def test_a_finish_takes_the_old_id_out_and_keeps_it_as_retired(manifest: Path, rehearsal: bool) -> None:
    """The manifest has the new id alone; the record has the old one, which must be refused from then on."""
    out = started(manifest)
    seen(out, "new-id", "status.sandbox.json" if rehearsal else "status.json")
    finish_rotation(manifest, out, "acme", now=LATER, rehearsal=rehearsal).write()

    assert TEXT.replace("external_id: old-id", 'external_id: "new-id"') == manifest.read_text("utf-8")
    assert {"acme": Rotation("2026-11-24T12:00:00+00:00", "2026-12-01T09:30:00+00:00", "old-id")} == read_rotations(out)


def test_an_abort_brings_the_old_id_back(manifest: Path) -> None:
    """The new id is the one that must be refused then."""
    out = started(manifest)
    abort_rotation(manifest, out, "acme", now=LATER).write()

    assert TEXT.replace("external_id: old-id", 'external_id: "old-id"') == manifest.read_text("utf-8")
    assert "new-id" == read_rotations(out)["acme"].retired


def test_a_forced_finish_carries_its_warning(manifest: Path) -> None:
    """What a person reads before agreeing says what it may cost."""
    out = started(manifest)
    proposal = finish_rotation(manifest, out, "acme", now=LATER, force=True)

    assert [
        "acme is not known to accept its new external ID; its role may refuse access until the customer applies the module"
    ] == [*proposal.notes]


def test_a_rotation_that_was_written_by_hand_can_be_ended(manifest: Path) -> None:
    """A manifest that has both ids needs no record of a start."""
    manifest.write_text(TEXT.replace("old-id # made in 2024", "new-id\n    previous_external_id: old-id"), "utf-8")
    out = manifest.parent / "output"
    seen(out, "new-id")
    finish_rotation(manifest, out, "acme", now=LATER).write()

    assert "old-id" == read_rotations(out)["acme"].retired


def test_the_retired_id_of_before_is_kept_through_the_next_rotation(manifest: Path) -> None:
    """Until the next one ends it must go on being refused."""
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
def test_a_broken_record_is_said_with_its_mend(tmp_path: Path, text: str) -> None:
    """Neither a traceback nor an empty record."""
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
def test_a_broken_status_file_is_no_sight_of_an_id(tmp_path: Path, text: str) -> None:
    """It is an error with its hint: a rotation must not end on a guess."""
    (tmp_path / "status.json").write_text(text, "utf-8")
    with pytest.raises(OutputError, match="status file"):
        read_accepted_ids(tmp_path).first_accepted("acme", "id")


@pytest.mark.parametrize("name", ["b", "gen", "e"])
def test_the_next_steps_hold_for_a_short_name_too(tmp_path: Path, name: str) -> None:
    """A customer whose name occurs in the commands themselves: each step is a command that can be copied."""
    other = tmp_path / "other.yaml"
    other.write_text(TEXT.replace("acme", name), "utf-8")
    steps = start_rotation(other, tmp_path, name, now=NOW).steps

    assert f"gen customer rotate-external-id {name} --finish --manifest {other} --out {tmp_path}" == steps[-1].command


def test_a_step_whose_manifest_has_changed_meanwhile_leaves_the_record_as_it_was(manifest: Path) -> None:
    """Someone edits the manifest while the question stands: nothing was written then, of the record neither."""
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


def test_a_record_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """What was there stays, an error names the record, and no half file lies next to it."""
    change_rotations(tmp_path, lambda _before: {"acme": Rotation(NOW.isoformat())})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limit[1]))  # as a full disk: the kernel refuses the rest of the text
    try:
        with pytest.raises(OutputError, match=r"rolecall\.rotations\.json"):
            change_rotations(tmp_path, lambda before: {**before, "beta": Rotation(NOW.isoformat())})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    assert ["rolecall.rotations.json"] == [path.name for path in tmp_path.iterdir()]
    assert ["acme"] == list(read_rotations(tmp_path))


def test_changes_of_the_record_add_up(tmp_path: Path) -> None:
    """Each change sees what is there by then, and leaves no half file behind."""
    for name in ("b", "a"):
        change_rotations(tmp_path / "new", lambda before, name=name: {**before, name: Rotation(NOW.isoformat())})  # type: ignore[misc]

    assert ["a", "b"] == list(read_rotations(tmp_path / "new"))
    assert ["rolecall.rotations.json"] == [path.name for path in (tmp_path / "new").iterdir()]
