"""The status file: reading, updating and atomic writing without lost entries."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.records import STATUS_VERSION, rehearsing, status_path
from rolecall_runner.status.status_file import (
    Confirmation,
    HandoverRecord,
    LastProblem,
    LastRun,
    ModuleVersion,
    PastRun,
    Pending,
    RunOutcome,
    SeenId,
    StatusEntry,
    StatusError,
    StatusFile,
    VerifiedEntry,
    change_status,
    encode,
    read_status,
    stamp,
)
from status_rig import MONDAY, TUESDAY, after, drifted, not_there, switch_role, target
from verdict_worlds import verdict

TEXTS = st.text(max_size=20)
DATES = st.datetimes(timezones=st.just(UTC)).map(stamp)
TROUBLES = st.none() | st.builds(
    LastProblem,
    DATES,
    DATES,
    *[TEXTS] * 2,
    causes=st.lists(TEXTS, max_size=2).map(tuple),
    steps=st.lists(TEXTS, max_size=2).map(tuple),
)
ENTRIES = st.builds(
    StatusEntry,
    TEXTS,
    handed_over=st.none() | st.builds(HandoverRecord, DATES, TEXTS, TEXTS),
    applied=st.none() | DATES,
    verified=st.none() | st.builds(VerifiedEntry, DATES, TEXTS, TEXTS),
    failed=TROUBLES,
    drifting=TROUBLES,
    external_id_seen=st.none() | st.builds(SeenId, TEXTS, DATES),
    last_run=st.none() | st.builds(LastRun, DATES, TEXTS, TEXTS),
    pending=st.none() | st.builds(Pending, DATES, DATES, *[TEXTS] * 3, unseen=st.lists(TEXTS, max_size=2).map(tuple)),
    confirmed=st.none() | st.builds(Confirmation, DATES, TEXTS),
    form=st.none() | TEXTS,
    versions=st.lists(
        st.builds(ModuleVersion, TEXTS, DATES, st.dictionaries(TEXTS, TEXTS, max_size=1), st.just("") | DATES), max_size=2
    ).map(tuple),
    history=st.lists(st.builds(PastRun, DATES, st.sampled_from(RunOutcome)).map(str), max_size=3).map(tuple),
)


def written(folder: Path) -> Path:
    """A status file with one entry."""
    path = folder / "output" / "status.json"
    change_status(path, lambda _: {("customer", "account1"): StatusEntry("arn:aws:iam::222222222222:role/role1")})
    return path


def test_file_is_owner_only_with_any_umask(tmp_path: Path) -> None:
    """The file and its lock; their folder may be shared, like modules."""
    before = os.umask(0)
    try:
        path = written(tmp_path)
    finally:
        os.umask(before)

    assert [0o600, 0o600] == [stat.S_IMODE(each.stat().st_mode) for each in (path, path.with_name(".status.lock"))]


def test_world_writable_file_is_refused(tmp_path: Path) -> None:
    """Another user could have written the verdicts in it."""
    path = written(tmp_path)
    path.chmod(0o666)

    with pytest.raises(StatusError) as error:
        read_status(path)
    assert (str(path), 5) == (error.value.where, error.value.exit_code)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused_unless_they_own_the_folder(tmp_path: Path) -> None:
    """In a container a whole checkout may belong to another user."""
    path = written(tmp_path)
    os.chown(path, 12345, -1)
    with pytest.raises(StatusError):
        read_status(path)
    os.chown(path.parent, 12345, -1)

    assert 1 == len(read_status(path).entries)


FAILED = {"since": MONDAY, "date": TUESDAY, "run": "r", "what": "w", "causes": [], "steps": ["granted"]}


def path_of(folder: Path) -> Path:
    return status_path(folder, rehearsal=False)


@settings(max_examples=50)
@given(st.dictionaries(st.tuples(st.sampled_from(["customer", "switch-role"]), TEXTS), ENTRIES, max_size=4))
def test_entries_round_trip(tmp_path_factory: pytest.TempPathFactory, entries: dict[tuple[str, str], StatusEntry]) -> None:
    """With any strings; the file is JSON with one line per entry."""
    path = path_of(tmp_path_factory.getbasetemp())
    content = encode(StatusFile(entries))
    path.write_bytes(content)
    body = json.loads(content)

    assert STATUS_VERSION == body["version"]
    assert {name for kind, name in entries if kind == "customer"} == set(body["customers"])
    assert len(entries) == sum(b': {"role_arn": ' in line for line in content.splitlines())
    assert entries == read_status(path).entries


def test_keys_match_the_documentation(tmp_path: Path) -> None:
    """Other programs may read the keys shown in docs/onboarding.md."""
    entry = after((MONDAY, verdict()), (TUESDAY, drifted()), (TUESDAY, not_there()))
    full = replace(entry, handed_over=HandoverRecord(MONDAY, "b", "m"))
    change_status(path_of(tmp_path), lambda _before: {("customer", "account1"): full})
    (found,) = json.loads(path_of(tmp_path).read_text())["customers"].values()

    assert {
        "role_arn", "handed_over", "applied", "verified", "failed", "drifting", "external_id_seen", "last_run", "history",
    } == set(found)  # fmt: skip
    assert {"sha256", "date"} == set(found["external_id_seen"])
    assert {"since", "date", "run", "what", "causes", "steps"} == set(found["failed"]) == set(found["drifting"])
    assert [f"{MONDAY} ok", f"{TUESDAY} failed"] == found["history"]


def test_missing_file_is_empty_status(tmp_path: Path) -> None:
    """So is a missing folder."""
    assert StatusFile() == read_status(path_of(tmp_path / "nowhere"))
    assert StatusEntry(target().role_arn) == StatusFile().entry(target())


def test_switch_role_and_customer_of_same_name_are_separate(tmp_path: Path) -> None:
    """They are in separate sections."""
    one, other = (
        StatusEntry(target("same").role_arn, applied=MONDAY),
        StatusEntry(switch_role("same").role_arn, applied=TUESDAY),
    )
    after_all = change_status(path_of(tmp_path), lambda _b: {("customer", "same"): one, ("switch-role", "same"): other})

    assert (one, other) == (after_all.entry(target("same")), after_all.entry(switch_role("same")))
    assert after_all == read_status(path_of(tmp_path))


def test_unchanged_status_is_not_written(tmp_path: Path) -> None:
    entry = {("customer", "account1"): StatusEntry("arn")}
    change_status(path_of(tmp_path), lambda _before: entry)
    before = path_of(tmp_path).stat()
    change_status(path_of(tmp_path), lambda _before: entry)

    assert (before.st_ino, before.st_mtime_ns) == (path_of(tmp_path).stat().st_ino, path_of(tmp_path).stat().st_mtime_ns)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version": 1}', '{"version": "x", "customers": {}, "switch_roles": {}}',
     '{"version": 1, "customers": {"a": {}}, "switch_roles": {}}',
     '{"version": 1, "customers": {"a": {"role_arn": 7}}, "switch_roles": {}}',
     '{"version": 1, "customers": {"a": {"role_arn": "x", "verified": "yes"}}, "switch_roles": {}}',
     '{"version": 1, "customers": {"a": {"role_arn": "x", "failed": {"since": "x"}}}, "switch_roles": {}}',
     '{"version": 1, "customers": [], "switch_roles": {}}', "[" * 100_000],
)  # fmt: skip
def test_broken_file_is_reported_with_hint_and_kept(tmp_path: Path, text: str) -> None:
    """Reading and updating both fail, and the file is unchanged."""
    path = path_of(tmp_path)
    path.write_text(text)

    with pytest.raises(StatusError, match=r"status\.json: the status file is damaged .*\n  hint: ") as caught:
        read_status(path)
    with pytest.raises(StatusError, match="is damaged"):
        change_status(path, lambda _before: {("customer", "a"): StatusEntry("x")})
    assert 5 == caught.value.exit_code
    assert text == path.read_text()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"applied": "soon"}, "a: applied is not a date"),
        ({"applied": None}, "a: applied is not a date"),
        ({"verified": {"date": "yesterday", "run": "r", "module": ""}}, "a: verified.date is not a date"),
        ({"last_run": {"date": 5, "run": "r", "mark": "ok"}}, "a: last_run.date is not a date"),
        ({"failed": {**FAILED, "since": ""}}, "a: failed.since is not a date"),
        ({"failed": {**FAILED, "what": 5}}, "a: failed.what is not a string"),
        ({"failed": {**FAILED, "causes": 5}}, "a: failed.causes is not a list"),
        ({"failed": {**FAILED, "steps": [None]}}, "a: failed.steps is not a string"),
        ({"verified": None}, "a: verified is not an object"),
        ({"versions": {}}, "a: versions is not a list"),
        ({"versions": [{"module": "m", "date": MONDAY}]}, "a: versions has an entry without access"),
        ({"versions": [{"module": "m", "date": "soon", "access": {}}]}, "a: versions.date is not a date"),
        ({"form": 5}, "a: form is not a string"),
        ({"history": {}}, "a: history is not a list"),
        ({"history": [[MONDAY, "ok"]]}, "a: history is not a string"),
        ({"history": [MONDAY]}, "a: history has an unknown outcome"),
        ({"history": [f"{MONDAY} fine"]}, "a: history has an unknown outcome"),
        ({"history": ["soon ok"]}, "a: history is not a date"),
        (
            {"pending": {"since": MONDAY}},
            "a: pending must have these keys: since, date, run, what, module, unseen",
        ),
        ({"handed_over": {"day": "x"}}, "a: handed_over must have these keys: date, bundle, module"),
    ],
)
def test_broken_entry_is_reported_with_its_error(tmp_path: Path, entry: dict[str, object], said: str) -> None:
    """After a manual edit or a bad merge the error names the entry, instead of failing later on a date."""
    text = json.dumps({"version": 1, "customers": {"a": {"role_arn": "x", **entry}}, "switch_roles": {}})
    path_of(tmp_path).write_text(text)

    with pytest.raises(StatusError, match=re.escape(f"the status file is damaged ({said})")):
        read_status(path_of(tmp_path))


@pytest.mark.parametrize("version", ["NaN", "Infinity", "true", '"1"', "1.5"])
def test_non_numeric_version_is_an_error(tmp_path: Path, version: str) -> None:
    path_of(tmp_path).write_text(f'{{"version": {version}, "customers": {{}}, "switch_roles": {{}}}}')

    with pytest.raises(StatusError, match=r"is damaged \(it has no version\)"):
        read_status(path_of(tmp_path))


def test_file_of_newer_version_is_not_written(tmp_path: Path) -> None:
    path_of(tmp_path).write_text('{"version": 3, "fleet": {}}')

    with pytest.raises(StatusError, match="has version 3; this version of rolecall supports 2"):
        read_status(path_of(tmp_path))


def test_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    """A file exists where the folder should be."""
    (tmp_path / "output").write_text("a file")

    with pytest.raises(StatusError, match=r"cannot be written: .*\n  hint: check disk space and permissions"):
        change_status(path_of(tmp_path / "output"), lambda _before: {("customer", "a"): StatusEntry("x")})


def test_failed_update_leaves_the_file(tmp_path: Path) -> None:
    """It also releases the lock."""
    change_status(path_of(tmp_path), lambda _before: {("customer", "a"): StatusEntry("x")})
    before = path_of(tmp_path).read_bytes()

    def fail(_before: StatusFile) -> dict[tuple[str, str], StatusEntry]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change_status(path_of(tmp_path), fail)
    assert before == path_of(tmp_path).read_bytes()
    assert 2 == len(change_status(path_of(tmp_path), lambda _before: {("customer", "b"): StatusEntry("x")}).entries)


def test_temporary_file_of_a_killed_process_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".status.json.new").write_text('{"vers')
    change_status(path_of(tmp_path), lambda _before: {("customer", "a"): StatusEntry("x")})

    assert [".status.lock", "status.json"] == sorted(each.name for each in tmp_path.iterdir())


def test_concurrent_threads_lose_no_updates(tmp_path: Path) -> None:
    def add(number: int) -> None:
        change_status(path_of(tmp_path), lambda _before: {("customer", f"c{number}"): StatusEntry(f"arn{number}")})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))

    assert {f"c{number}" for number in range(40)} == {name for _, name in read_status(path_of(tmp_path)).entries}


def test_concurrent_processes_lose_no_updates(tmp_path: Path) -> None:
    """Two verify runs and an onboarding may end at the same time."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from rolecall_runner.status.status_file import StatusEntry, change_status\n"
        "for number in range(20):\n"
        "    change_status(Path(sys.argv[1]), lambda _b: {('customer', f'{sys.argv[2]}{number}'): StatusEntry('arn')})\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(path_of(tmp_path)), name]) for name in "ab"]

    assert [0, 0] == [child.wait(timeout=60) for child in children]
    assert 40 == len(read_status(path_of(tmp_path)).entries)


def test_rehearsal_has_its_own_file(tmp_path: Path) -> None:
    """Results of a sandbox are never mixed with those of AWS."""
    assert ["status.json", "status.sandbox.json"] == [
        status_path(tmp_path, rehearsal=rehearsal).name for rehearsal in (False, True)
    ]
    assert [False, False, True] == [
        rehearsing(environ) for environ in ({}, {"AWS_ENDPOINT_URL": ""}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4000"})
    ]
