"""Reading accounts: files of the AWS CLI in every form, folders of iam-collect, live IAM, and other input."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from audit_accounts import (
    ACCOUNT,
    DATADOG,
    EXAMPLE,
    GOOD_ID,
    LIMIT,
    UNKNOWN,
    allow,
    by_id,
    caller,
    document,
    encoded,
    managed_policy,
    page,
    role,
    trust,
)
from rolecall_generator.audit import AccountData, organization_accounts, read_account_ids, read_accounts, read_live, sources
from rolecall_generator.audit.sources import read_client
from rolecall_generator.errors import CallerError, ExitCode, InputError, RolecallError, SelectionError

VENDOR = role("vendor", trust(caller(DATADOG), by_id(GOOD_ID)), path="/app/", tags={"team": "red"})
PARTNER = role("partner", trust(caller(UNKNOWN)), boundary=LIMIT)
POLICY = managed_policy(LIMIT, document(allow("s3:*")))


def write(folder: Path, text: str | bytes, name: str = "account.json") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, *texts: str | bytes) -> AccountData:
    (account,) = read_accounts([write(folder, text, f"{number}.json") for number, text in enumerate(texts)])
    return account


WHOLE = page(VENDOR, PARTNER, policies=[POLICY])
ONE, TWO = json.dumps(page(VENDOR, policies=[POLICY])), json.dumps(page(PARTNER))


@pytest.mark.parametrize(
    "texts",
    [
        [json.dumps(WHOLE)],
        [json.dumps(encoded(WHOLE))],
        [json.dumps(WHOLE, indent=4)],
        [f"[{ONE}, {TWO}]"],
        [f"{ONE}\n{TWO}\n"],
        [f"{ONE}{TWO}"],
        [ONE, TWO],
        [TWO, ONE],
        [ONE, TWO, ONE],
        [json.dumps(WHOLE).encode("utf-8-sig")],
        [json.dumps(WHOLE).encode("utf-16")],
        [f"\n\n  {json.dumps(WHOLE)}  \n"],
    ],
)
def test_every_form_of_the_pages_gives_the_same_account(tmp_path: Path, texts: list[str | bytes]) -> None:
    """Pages in a list, in a row or in files, in any order and repeated; documents as objects or URL-encoded."""
    account = read(tmp_path, *texts)
    expected = read(tmp_path, json.dumps(WHOLE))

    assert (expected.account_id, expected.partition, expected.access) == (
        account.account_id, account.partition, account.access,
    )  # fmt: skip
    assert expected.records == account.records


def test_an_account_has_all_parts(tmp_path: Path) -> None:
    account = read(tmp_path, json.dumps(WHOLE))
    vendor, partner = (account.access.roles[item["Arn"]] for item in (VENDOR, PARTNER))

    assert (ACCOUNT, "aws") == (account.account_id, account.partition)
    assert {"team": "red"} == vendor.tags
    assert LIMIT == partner.boundary
    assert LIMIT in account.access.policies
    assert ["inline"] == list(vendor.inline)
    assert vendor.inline["inline"] is partner.inline["inline"]
    record = account.records[VENDOR["Arn"]]
    assert (True, "2026-11-20", "2025-01-15", None) == (
        record.usage_known,
        f"{record.last_used:%Y-%m-%d}",
        f"{record.created:%Y-%m-%d}",
        record.max_session_seconds,
    )


def test_session_durations_come_from_list_roles(tmp_path: Path) -> None:
    roles = {"Roles": [{"Arn": VENDOR["Arn"], "MaxSessionDuration": 7200}, {"Arn": "arn:aws:iam::1:role/x"}]}

    account = read(tmp_path, json.dumps(WHOLE), json.dumps(roles))

    assert 7200 == account.records[VENDOR["Arn"]].max_session_seconds
    assert account.records[PARTNER["Arn"]].max_session_seconds is None


def test_groups_of_users_are_resolved(tmp_path: Path) -> None:
    ann, staff = f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:group/x/staff"
    user = {"Arn": ann, "GroupList": ["staff", "gone"]}
    group = {"Arn": staff, "GroupName": "staff"}

    account = read(tmp_path, json.dumps(page(users=[user], groups=[group])))

    assert frozenset({staff}) == account.access.users[ann].groups


def test_lines_of_roles_are_those_of_the_file(tmp_path: Path) -> None:
    text = json.dumps(EXAMPLE, indent=2)

    account = read(tmp_path, text)

    lines = text.splitlines()
    assert len(EXAMPLE["RoleDetailList"]) == len(account.places)
    assert all(f'"Arn": "{arn}"' in lines[line - 1] for arn, (_, line) in account.places.items())


def test_a_role_is_in_its_file(tmp_path: Path) -> None:
    account = read(tmp_path, ONE, TWO)

    assert {VENDOR["Arn"]: "0.json", PARTNER["Arn"]: "1.json"} == {
        arn: Path(file).name for arn, (file, _) in account.places.items()
    }


def test_several_accounts_are_told_apart(tmp_path: Path) -> None:
    other = role("vendor", trust(caller(DATADOG)), account=UNKNOWN)
    path = write(tmp_path, json.dumps(page(VENDOR, other)))

    assert [ACCOUNT, UNKNOWN] == [account.account_id for account in read_accounts([path])]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "account.json"),
        ("   \n", "account.json"),
        ("{", "account.json:1:2"),
        ('{"RoleDetailList": [\n  {,}\n]}', "account.json:2:4"),
        (json.dumps(WHOLE)[:-40], "account.json:1:"),
        ("nonsense", "account.json:1:1"),
        ("[]", "account.json"),
        ("[1]", "account.json"),
        ("{}", "account.json"),
        ('{"Users": []}', "account.json"),
        ('{"RoleDetailList": {}}', "account.json, RoleDetailList"),
        ('{"RoleDetailList": [1]}', "account.json, RoleDetailList[0]"),
        ('{"RoleDetailList": [{}]}', "account.json, RoleDetailList[0]"),
        ('{"RoleDetailList": [{"Arn": 5}]}', "account.json, RoleDetailList[0]"),
        ('{"RoleDetailList": [{"Arn": "x"}]}', "account.json, RoleDetailList[0]"),
        ('{"Policies": [{"Arn": "arn:aws:iam::222222222222:role/r"}]}', "account.json, Policies[0]"),
        ('{"Roles": [{"Arn": "arn:aws:iam::222222222222:role/r", "MaxSessionDuration": "1"}]}', "account.json, Roles[0]"),
        (json.dumps({"RoleDetailList": [{**VENDOR, "Tags": ["x"]}]}), f"account.json, RoleDetailList[0] ({VENDOR['Arn']})"),
        ('{"RoleDetailList": [' + "9" * 5_000 + "]}", "account.json"),
        ("[" * 100_000, "account.json"),
        ("\xff\xfe\xff", "account.json"),
    ],
)
def test_malformed_input_is_an_error_with_place_and_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(Path(), text.encode("latin-1"))

    with pytest.raises(InputError) as error:
        read_accounts([path])

    assert ExitCode.MANIFEST is error.value.exit_code
    assert error.value.where is not None
    assert error.value.where.startswith(place)
    assert error.value.hint


@pytest.mark.parametrize(("text", "expected"), [("", False), (" \n", False), ("[]", True), ("[]\n[ ]", True)])
def test_an_empty_list_is_not_an_empty_file(tmp_path: Path, text: str, expected: bool) -> None:
    with pytest.raises(InputError) as error:
        read_accounts([write(tmp_path, text)])

    assert expected is ("RoleDetailList" in error.value.what)


@pytest.mark.parametrize(
    ("text", "name", "error"),
    [
        ('{"RoleDetailList": []}', "account.json", SelectionError),
        ("{}", "missing.json", InputError),
        ("{}", ".", InputError),
        (json.dumps(WHOLE), "account.json", InputError),
    ],
    ids=["no account", "missing", "folder", "large"],
)
def test_path_without_accounts_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str, error: type[RolecallError]
) -> None:
    monkeypatch.setattr(sources, "MAXIMUM_BYTES", 100)
    write(tmp_path, text)

    with pytest.raises(error):
        read_accounts([tmp_path / name])


MORE = {"IsTruncated": True, "Marker": "x"}


@pytest.mark.parametrize(
    "pages",
    [
        [{**page(VENDOR), **MORE}],
        [{**page(VENDOR), **MORE}, {**page(PARTNER), **MORE}],
        [{**page(VENDOR), "NextToken": "x"}],
        [{**page(VENDOR), **MORE}, {"Roles": [], "IsTruncated": False}],
        [{**page(VENDOR), **MORE}, page(role("other", trust(caller(DATADOG)), account=UNKNOWN))],
    ],
    ids=["page", "pages", "CLI", "list-roles", "another account"],
)
def test_truncated_data_is_an_error(tmp_path: Path, pages: list[Any]) -> None:
    """The roles on the other pages would be missing."""
    with pytest.raises(InputError) as caught:
        read_accounts([write(tmp_path, json.dumps(pages))])

    assert str(tmp_path) in str(caught.value.where)
    assert caught.value.hint


@pytest.mark.parametrize("pages", [[{**page(VENDOR), **MORE}, page(PARTNER)], [{**page(VENDOR), **MORE}, page()]])
def test_several_pages_are_complete_with_the_last_one(tmp_path: Path, pages: list[Any]) -> None:
    assert read(tmp_path, json.dumps(pages)).access.roles == read(tmp_path, *map(json.dumps, pages[::-1])).access.roles


def test_role_without_a_trust_policy_is_kept(tmp_path: Path) -> None:
    """What cannot be read is unknown, and not left out."""
    item = {key: value for key, value in VENDOR.items() if key != "AssumeRolePolicyDocument"}
    account = read(tmp_path, json.dumps(page(item)))

    assert account.access.roles[VENDOR["Arn"]].trust is None
    assert account.records[VENDOR["Arn"]].unreadable_trust


def test_contradicting_files_are_an_error(tmp_path: Path) -> None:
    """Two exports of different days describe a role differently; which one is right is not known."""
    changed = {**VENDOR, "Tags": []}

    with pytest.raises(InputError):
        read(tmp_path, ONE, json.dumps(page(changed)))


@pytest.mark.parametrize("value", [None, 5, [], "", "%7B", "{}x", {"Statement": 5}, {"Statement": [{"Bad": 1}]}])
def test_an_unreadable_policy_is_noted_for_its_role(tmp_path: Path, value: Any) -> None:
    broken = {**VENDOR, "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": value}]}

    account = read(tmp_path, json.dumps(page(broken, PARTNER)))

    assert 1 == len(account.records[VENDOR["Arn"]].unreadable)
    assert {} == account.access.roles[VENDOR["Arn"]].inline
    assert () == account.records[PARTNER["Arn"]].unreadable


def test_a_policy_longer_than_aws_allows_is_not_evaluated(tmp_path: Path) -> None:
    """IAM would not have accepted it, and evaluating it could take hours."""
    many = [trust(caller(f"{number:012d}")) for number in range(2_000)]

    account = read(tmp_path, json.dumps(page(role("long", *many))))

    (record,) = account.records.values()
    assert record.unreadable_trust
    assert () == record.unreadable
    assert [None] == [each.trust for each in account.access.roles.values()]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from([*VENDOR, "RoleDetailList", "Policies", "PolicyVersionList", "Roles", "UserDetailList"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, JSON, max_size=4), st.sampled_from(["RoleDetailList", "Policies", "UserDetailList", "Roles"]))
def test_any_json_is_read_or_refused(tmp_path: Path, item: dict[str, Any], name: str) -> None:
    path = write(tmp_path, json.dumps({name: [{**VENDOR, **item}, item]}))
    with suppress(RolecallError):
        read_accounts([path])


def collect(folder: Path, item: dict[str, Any], kind: str = "role") -> None:
    """Write an item as iam-collect does: lower-case folders, URL-encoded names."""
    account, resource = item["Arn"].split(":", 5)[4:]
    where = folder / "aws" / "aws" / "accounts" / account / "iam" / kind / quote(resource.partition("/")[2], safe="").lower()
    where.mkdir(parents=True)
    boundary = item.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    parts = {
        "metadata": {
            "arn": item["Arn"], "name": item["RoleName"], "id": item["RoleId"], "path": item["Path"],
            "created": item["CreateDate"], "permissionBoundary": boundary,
        },
        "trust-policy": item["AssumeRolePolicyDocument"],
        "inline-policies": item["RolePolicyList"],
        "managed-policies": [policy["PolicyArn"] for policy in item["AttachedManagedPolicies"]],
        "tags": {tag["Key"]: tag["Value"] for tag in item["Tags"]},
    }  # fmt: skip
    for name, value in parts.items():
        if value:
            (where / f"{name}.json").write_text(json.dumps(value))


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    collect(tmp_path, VENDOR)
    collect(tmp_path, PARTNER)
    collect(tmp_path, role("other", trust(caller(ACCOUNT)), account=UNKNOWN))
    policy = tmp_path / "aws" / "aws" / "accounts" / ACCOUNT / "iam" / "policy" / "limit"
    policy.mkdir(parents=True)
    (policy / "metadata.json").write_text(json.dumps({"arn": LIMIT, "name": "limit"}))
    (policy / "current-policy.json").write_text(json.dumps(document(allow("s3:*"))))
    accounts = tmp_path / "aws" / "aws" / "accounts"
    (accounts / ACCOUNT / "organization.json").write_text('{"organizationId": "o-a1b2c3d4e5"}')
    organization = tmp_path / "aws" / "aws" / "organizations" / "o-a1b2c3d4e5"
    organization.mkdir(parents=True)
    (organization / "accounts.json").write_text(json.dumps({ACCOUNT: {}, "444444444444": {"ou": "ou-1"}}))
    return tmp_path


def test_iam_collect_gives_the_same_access(tmp_path: Path, collected: Path) -> None:
    account, other = read_accounts([collected])
    expected = read(tmp_path, json.dumps(WHOLE))

    assert expected.access == account.access
    assert "o-a1b2c3d4e5" == account.organization_id
    assert (UNKNOWN, None) == (other.account_id, other.organization_id)
    assert not account.records[VENDOR["Arn"]].usage_known
    assert Path(account.places[VENDOR["Arn"]][0]).is_file()
    assert [ACCOUNT, "444444444444"] == list(organization_accounts(collected))


def test_the_folder_aws_itself_is_read_too(collected: Path) -> None:
    assert read_accounts([collected])[0].access == read_accounts([collected / "aws"])[0].access


@pytest.mark.parametrize("name", ["metadata.json", "trust-policy.json"])
def test_a_broken_file_of_iam_collect_is_an_error_with_its_place(collected: Path, name: str) -> None:
    (path,) = collected.glob(f"aws/aws/accounts/{ACCOUNT}/iam/role/partner/{name}")
    path.write_text("{\n  broken")

    with pytest.raises(InputError) as error:
        read_accounts([collected])

    assert f"{path}:2:3" == error.value.where


@pytest.mark.parametrize("name", ["managed-policies.json", "groups.json", "tags.json"])
def test_a_file_of_another_type_is_an_error_with_its_place(collected: Path, name: str) -> None:
    (folder,) = collected.glob(f"aws/aws/accounts/{ACCOUNT}/iam/role/partner")
    (folder / name).write_text("5")

    with pytest.raises(InputError) as error:
        read_accounts([collected])

    assert str(folder / name) == error.value.where


def test_files_between_the_folders_of_items_are_ignored(collected: Path) -> None:
    before = read_accounts([collected])
    (collected / "aws" / "aws" / "accounts" / ACCOUNT / "iam" / "role" / ".DS_Store").write_bytes(b"\0")

    assert before == read_accounts([collected])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("222222222222\n333333333333\n", {"222222222222", "333333333333"}),
        ("222222222222", {"222222222222"}),
        ("Account,Name\n222222222222,333333333333\n", {"222222222222"}),
        ('{"Accounts": [{"Id": "222222222222", "Name": "333333333333"}]}', {"222222222222"}),
        ('["222222222222", "012345678901"]', {"222222222222", "012345678901"}),
    ],
)
def test_account_ids_of_a_file(tmp_path: Path, text: str, expected: set[str]) -> None:
    assert expected == read_account_ids([str(write(tmp_path, text, "ids.txt"))])


def test_account_ids_of_the_command_line() -> None:
    assert {"222222222222", "333333333333", "012345678901"} == read_account_ids(
        ["222222222222,333333333333", "012345678901"]
    )
    assert frozenset() == read_account_ids([])


@pytest.mark.parametrize("value", ["22222222222", "acme", "", "222222222222;333333333333"])
def test_another_value_is_a_usage_error(value: str) -> None:
    with pytest.raises(SelectionError):
        read_account_ids([value])


def test_a_file_without_account_ids_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_account_ids([str(write(tmp_path, '{"Accounts": []}', "ids.json"))])


class Iam:
    """An IAM client with fixed pages; an exception among them is raised."""

    def __init__(self, **pages: list[Any]) -> None:
        self.pages = pages

    def get_paginator(self, operation: str) -> Any:
        outer = self

        class Paginator:
            def paginate(self) -> Any:
                for each in outer.pages.get(operation, []):
                    if isinstance(each, Exception):
                        raise each
                    yield each

        return Paginator()


def test_a_live_account_is_read_with_all_pages_and_durations(tmp_path: Path) -> None:
    client = Iam(
        get_account_authorization_details=[page(VENDOR), page(PARTNER, policies=[POLICY])],
        list_roles=[{"Roles": [{"Arn": VENDOR["Arn"], "MaxSessionDuration": 3600}]}],
    )
    counts: list[int] = []

    (account,) = read_client(client, "audit", progress=counts.append)

    assert read(tmp_path, json.dumps(WHOLE)).access == account.access
    assert 3600 == account.records[VENDOR["Arn"]].max_session_seconds
    assert [1, 2, 3] == counts
    assert "profile audit" == account.source


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "x"}}, "GetAccountAuthorizationDetails")


@pytest.mark.parametrize(
    "error", [refused("AccessDenied"), refused("Throttling"), refused("Other"), EndpointConnectionError(endpoint_url="x")]
)
def test_an_error_of_iam_is_a_caller_error(error: Exception) -> None:
    with pytest.raises(CallerError) as raised:
        read_client(Iam(get_account_authorization_details=[page(VENDOR), error]), "audit")

    assert ExitCode.CALLER is raised.value.exit_code
    assert "profile audit" == raised.value.where
    assert raised.value.hint


def test_an_unknown_profile_is_a_caller_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    with pytest.raises(CallerError):
        read_live("rolecall-missing")


def test_an_empty_live_account_is_an_error() -> None:
    with pytest.raises(SelectionError):
        read_client(Iam(get_account_authorization_details=[page()]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_live_account_of_a_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies as botocore parses them: documents as objects, dates as datetimes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("MOTO_IAM_LOAD_MANAGED_POLICIES", raising=False)  # other tests of the process set it
    with mock_aws():
        iam = boto3.client("iam", region_name="us-east-1")
        iam.create_role(
            RoleName="vendor",
            AssumeRolePolicyDocument=json.dumps(document(trust(caller(DATADOG), by_id(GOOD_ID)))),
            MaxSessionDuration=7200,
            Tags=[{"Key": "team", "Value": "red"}],
        )
        iam.put_role_policy(RoleName="vendor", PolicyName="p", PolicyDocument=json.dumps(document(allow("s3:GetObject"))))
        policy = iam.create_policy(PolicyName="limit", PolicyDocument=json.dumps(document(allow("s3:*"))))["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="vendor", PolicyArn=policy)

        (account,) = read_live(None)

    ((arn, found),) = account.access.roles.items()
    assert found.trust is not None
    assert (DATADOG, ["p"], {"team": "red"}) == (
        found.trust.statements[0].principals[0].identifier.split(":")[4], list(found.inline), found.tags,
    )  # fmt: skip
    assert 7200 == account.records[arn].max_session_seconds
    assert account.records[arn].created is not None
    assert {policy} == set(account.access.policies) == found.attached
