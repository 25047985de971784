"""The customers' pages: what a customer may read, nothing about anyone else, and safe writing."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hostile_text import HOSTILE, leaks
from rolecall_generator.errors import ExitCode, OutputError, SelectionError
from rolecall_generator.iam.model import Access, Role
from rolecall_generator.iam.policy import Condition, PolicyDocument, Principal, Statement
from rolecall_generator.records import external_id_digest
from rolecall_runner.inventory.targets import Target
from rolecall_runner.reports.customer_page import MARKER, customer_page, write_customer_pages
from rolecall_runner.status.overview import CustomerState, StatusReport
from rolecall_runner.status.status_file import HandoverRecord, StatusEntry, StatusError, stamp
from rolecall_runner.verify.context import encode_access
from rolecall_runner.verify.verdict import Verdict
from status_rig import NEW, NOW, OLD, drifted, not_there
from status_worlds import PLACE, customer, handed_over, mixed_fleet, nightly, open_role, report_of
from verdict_worlds import verdict

ACME = replace(customer(1, "acme"), previous_external_id="the-previous-id", retired_external_id="the-retired-id")


def page_of(entry: StatusEntry, target: Target = ACME, *, module: str = NEW) -> str:
    """The page of one customer."""
    report = report_of([(target, entry)], module=module)
    return customer_page(report, report.rows[0])


def section(page: str, name: str) -> str:
    """What a section shows, without markup."""
    found = re.search(rf'<section id="{name}">(.*?)</section>', page, re.DOTALL)
    assert found is not None, name
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", found[1]))).replace(" .", ".").replace(" ,", ",")


def all_states() -> StatusReport:
    """Customers in every state, each with three external IDs."""
    entries = [
        (
            replace(target, previous_external_id=f"previous-{target.name}", retired_external_id=f"retired-{target.name}"),
            entry,
        )
        for target, entry in mixed_fleet()
    ]
    return report_of(entries)


def test_page_shows_no_other_customer_and_no_external_id(tmp_path: Path) -> None:
    """In every state: no name, account or role of another customer, no external ID or its digest, no run and no path."""
    report = all_states()
    assert set(CustomerState) == {row.state for row in report.rows}
    customers = [row for row in report.rows if row.target.kind == "customer"]
    assert len(customers) == write_customer_pages(report, tmp_path)

    for row in customers:
        page = (tmp_path / f"{row.target.name}.html").read_text("utf-8")
        others = [each.target for each in report.rows if each.target.key != row.target.key]
        foreign = [part for other in others for part in (other.name, other.account_id, other.role_arn)]
        external = [
            each
            for target in (row.target, *others)
            for each in (target.external_id, target.previous_external_id, target.retired_external_id)
            if each
        ]
        digests = [external_id_digest(each) for each in external]
        runs = [row.entry.last_run.run] if row.entry.last_run is not None else []
        paths = [str(report.place.manifest), str(report.place.out), str(report.place.status), str(tmp_path)]
        assert row.target.account_id in page
        assert [] == [each for each in (*foreign, *external, *digests, *runs, *paths, OLD, NEW) if each in page]


def test_external_id_in_a_permission_is_left_out() -> None:
    """A policy may name it, for example in a condition on a tag."""
    target = replace(ACME, external_id="acme")  # also the name of the bucket in its grants
    page = page_of(nightly(target, [verdict()]), target)

    assert "arn:aws:s3:::acme" not in page
    assert "(external ID)" in section(page, "grants")


def test_messages_of_runs_are_left_out() -> None:
    """They may quote AWS's reply, or name the vendor's side."""
    entry = nightly(ACME, [verdict(), open_role()])
    assert entry.failed is not None
    page = page_of(replace(entry, failed=replace(entry.failed, what="the reply of a run", run="a-run")))

    assert ("the reply of a run" in page, "a-run" in page, "no-external-id-condition" in page) == (False,) * 3


@pytest.mark.parametrize(
    ("entry", "style", "sign"),
    [
        (nightly(ACME, [verdict()]), "good", "✓"),
        (nightly(ACME, [verdict()], days_ago=20), "doubt", "?"),
        (nightly(ACME, [verdict(), open_role()]), "bad", "✗"),
        (nightly(ACME, [verdict(), drifted()]), "bad", "≠"),
        (nightly(ACME, [verdict()], module=OLD), "doubt", "!"),
        (StatusEntry(ACME.role_arn, applied=stamp(NOW)), "none", "…"),
        (handed_over(ACME), "none", "…"),
        (nightly(ACME, [not_there()], handed_over(ACME)), "none", "…"),
        (StatusEntry(ACME.role_arn), "none", "-"),
    ],
)
def test_verdict_has_a_sign_and_words(entry: StatusEntry, style: str, sign: str) -> None:
    """Not only a color."""
    page = page_of(entry)
    found = re.search(r'<header class="(\w+)">\s*<p class="verdict" id="verdict">(\S) (\w[^<]*)', page)

    assert found is not None
    assert (style, sign) == found.groups()[:2]


def test_grants_are_those_of_the_review() -> None:
    """Who may assume the role, that an external ID is required, the permissions, and how to revoke them."""
    page = page_of(nightly(ACME, [verdict()]))

    assert "The role arn:aws:iam::111111111111:role/backend_role, and no one else." in section(page, "grants")
    assert "Allows s3:GetObject and s3:ListBucket on arn:aws:s3:::acme and arn:aws:s3:::acme/*." in section(page, "grants")
    assert "AWSRevokeOlderSessions" in section(page, "revoke")
    assert {"terraform destroy", "aws-cli/remove.sh"} <= set(re.findall("<code>([^<]*)</code>", page))


@pytest.mark.parametrize(
    ("operators", "sentence"),
    [
        (["StringEquals"], "Every request must have"),
        (["StringEquals", "StringEqualsIfExists"], "The conditions are in the security review"),
        (["StringEqualsIfExists"], "The conditions are in the security review"),
        (["StringEquals", ""], "The conditions are in the security review"),
        ([""], "Not required"),
    ],
)
def test_external_id_is_required_only_if_every_statement_requires_it(operators: list[str], sentence: str) -> None:
    """An operator with IfExists accepts requests without one."""
    statements = [
        Statement(
            "Allow",
            ("sts:AssumeRole",),
            (),
            principals=(Principal("AWS", ACME.backend_role_arn),),
            conditions=(Condition(operator, "sts:ExternalId", ("an-id",)),) if operator else (),
        )
        for operator in operators
    ]
    access = encode_access(Access.of(Role(ACME.role_arn, PolicyDocument(tuple(statements)))))
    entry = nightly(ACME, [verdict()])
    changed = replace(entry, versions=tuple(replace(each, access=access) for each in entry.versions))

    assert f"External ID {sentence}" in section(page_of(changed), "grants")


def test_revocation_is_that_of_the_form() -> None:
    """A customer of the CloudFormation template does not have a script or a state."""
    page = page_of(replace(nightly(ACME, [verdict()]), form="cloudformation"))

    assert "CloudFormation" in section(page, "revoke")
    assert not {"terraform destroy", "aws-cli/remove.sh"} & set(re.findall("<code>([^<]*)</code>", page))


def test_module_that_was_not_handed_over_is_not_shown() -> None:
    """The page shows the grants of the module that the customer has, not those of a newer one in the output folder."""
    page = page_of(nightly(ACME, [verdict()], module=OLD), module=NEW)

    assert "arn:aws:s3:::acme" in section(page, "grants")
    assert "Newer version" in page


def test_unknown_grants_are_not_invented() -> None:
    """If the recorded grants are older than the last hand-over, or there are none, the page refers to the review."""
    verified = nightly(ACME, [verdict()], days_ago=3)
    newer = replace(verified, handed_over=HandoverRecord(stamp(NOW - timedelta(hours=1)), "b", OLD))
    for entry in (newer, replace(verified, versions=())):
        page = page_of(entry)

        assert "s3:GetObject" not in page
        assert "security review" in section(page, "grants")
        assert "AWSRevokeOlderSessions" in section(page, "revoke")


def test_difference_is_not_shown_as_granted() -> None:
    """After a failed check the section is about what was agreed, and has a note that the role differs."""
    failed = section(page_of(nightly(ACME, [verdict(), open_role()])), "grants")
    good = section(page_of(nightly(ACME, [verdict()])), "grants")

    assert ("differs" in failed, "differs" in good) == (True, False)


def test_attempt_without_result_is_shown_next_to_the_last_verification() -> None:
    """A verified account that could not be reached since keeps its verdict and has the later attempt."""
    page = page_of(nightly(ACME, [verdict(), verdict(assume="unreachable")]))

    assert "Last attempt" in section(page, "role")
    assert "Last attempt" not in section(page_of(nightly(ACME, [verdict()])), "role")


@pytest.mark.parametrize(
    ("run", "has_steps"), [(open_role(), True), (replace(drifted(), diagnoses=()), False), (drifted(), True)]
)
def test_customer_is_asked_to_apply_only_if_that_helps(run: Verdict, has_steps: bool) -> None:
    """Some causes need another change, which the vendor's message names."""
    assert has_steps == ("apply the newest files" in section(page_of(nightly(ACME, [verdict(), run])), "todo"))


def test_cause_on_the_vendor_side_asks_nothing_of_the_customer() -> None:
    entry = nightly(ACME, [verdict(), open_role()])
    assert entry.failed is not None
    page = page_of(replace(entry, failed=replace(entry.failed, causes=("identity-differs",))))

    assert "nothing to do" in section(page, "todo")


def test_rehearsal_is_marked_as_not_to_be_published() -> None:
    report = report_of([(ACME, nightly(ACME, [verdict()]))], place=replace(PLACE, rehearsal=True))

    assert "rehearsal (sandbox), do not publish" in customer_page(report, report.rows[0])


def test_pages_are_written_again_and_nothing_else(tmp_path: Path) -> None:
    """Each page is replaced; the folder has no temporary file, and no page of a switch role."""
    folder = tmp_path / "new" / "public"
    report = report_of(mixed_fleet())
    count = write_customer_pages(report, folder)
    again = write_customer_pages(report, folder)

    assert (11, 11, 11) == (count, again, len(list(folder.iterdir())))
    assert {row.target.name for row in report.rows if row.target.kind == "customer"} == {
        each.stem for each in folder.iterdir()
    }
    assert all(MARKER in each.read_text() for each in folder.iterdir())


def foreign_file(path: Path) -> None:
    path.write_text("<html>the vendor's start page</html>")


def foreign_folder(path: Path) -> None:
    path.mkdir()


def foreign_link(path: Path) -> None:
    (path.parent / "target").write_text(f"<main id={MARKER}>")
    path.symlink_to("target")


@pytest.mark.parametrize("make", [foreign_file, foreign_folder, foreign_link])
def test_other_files_are_not_overwritten(make: Callable[[Path], None], tmp_path: Path) -> None:
    """No page is written if one of them would replace something else."""
    make(tmp_path / "stark.html")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError) as caught:
        write_customer_pages(report_of(mixed_fleet()), tmp_path)

    assert (ExitCode.OUTPUT, str(tmp_path / "stark.html")) == (caught.value.exit_code, caught.value.where)
    assert caught.value.hint
    assert before == sorted(tmp_path.iterdir())


def test_folder_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "public").write_text("")
    with pytest.raises(OutputError) as caught:
        write_customer_pages(report_of(mixed_fleet()), tmp_path / "public")

    assert (str(tmp_path / "public"), ExitCode.OUTPUT) == (caught.value.where, caught.value.exit_code)


def test_selection_without_customers_is_usage_error(tmp_path: Path) -> None:
    report = report_of([pair for pair in mixed_fleet() if pair[0].kind == "switch-role"])
    with pytest.raises(SelectionError) as caught:
        write_customer_pages(report, tmp_path / "public")

    assert "--customer-pages" == caught.value.where
    assert not (tmp_path / "public").exists()


def test_damaged_grants_are_reported_with_the_file() -> None:
    """Instead of a page without them."""
    entry = nightly(ACME, [verdict()])
    broken = replace(entry, versions=tuple(replace(each, access={"roles": 5}) for each in entry.versions))
    with pytest.raises(StatusError) as caught:
        page_of(broken)

    assert str(PLACE.status) == caught.value.where


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_sanitized(text: str) -> None:
    """Control and invisible characters, forged workflow commands and markup."""
    target = replace(ACME, name=text, account_id=text, role_arn=text)
    entry = nightly(target, [verdict()])

    assert [] == leaks(page_of(replace(entry, form=text), target))


def test_failure_leaves_complete_pages(tmp_path: Path) -> None:
    """Pages before the failure are new, the others as before; no temporary file remains."""
    other = customer(2, "globex")
    good = [(target, nightly(target, [verdict()])) for target in (ACME, other)]
    write_customer_pages(report_of(good), tmp_path)
    before = (tmp_path / "globex.html").read_text()
    broken = replace(good[1][1], versions=tuple(replace(each, access={"roles": 5}) for each in good[1][1].versions))
    report = report_of([(ACME, nightly(ACME, [verdict(), open_role()])), (other, broken)])
    with pytest.raises(StatusError):
        write_customer_pages(report, tmp_path)

    assert "Not as agreed" in (tmp_path / "acme.html").read_text()
    assert before == (tmp_path / "globex.html").read_text()
    assert ["acme.html", "globex.html"] == sorted(each.name for each in tmp_path.iterdir())
