"""Hypothesis strategies for manifests: every key, with the most hostile strings that it accepts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAME_CHARACTERS = "ABCabc019_+=,.@-"
# All characters valid in a policy (printable Latin-1), weighted towards those special in HCL, Jinja2 and Markdown.
_SIGNS = [
    "${",
    "%{",
    "$${",
    "%%{",
    "}",
    "~}",
    '"',
    "\\",
    "<<EOF",
    "EOF",
    "#",
    "//",
    "/*",
    "*/",
    "{{",
    "}}",
    "{%",
    "%}",
    "`",
    "|",
    "a:b",
    "é",
]
POLICY_TEXT = (
    st.lists(
        st.sampled_from([*_SIGNS, " "])
        | st.characters(min_codepoint=0xA1, max_codepoint=0xFF, exclude_characters="\xad")
        | st.characters(min_codepoint=0x20, max_codepoint=0x7E),
        min_size=1,
        max_size=8,
    )
    .map("".join)
    .filter(lambda text: "&{" not in text)
)
# A role's description may also have line breaks.
DESCRIPTION = st.lists(POLICY_TEXT | st.sampled_from(["\n", "\t", "\r"]), max_size=4).map("".join)
TAG_TEXT = st.text(alphabet="aZ9 _.:/=+-@é日", min_size=1, max_size=10).filter(
    lambda text: not text.lower().startswith("aws:")
)
TAGS = st.dictionaries(TAG_TEXT, TAG_TEXT, max_size=3).filter(lambda tags: len({key.lower() for key in tags}) == len(tags))
NAME = st.text(alphabet=NAME_CHARACTERS, min_size=1, max_size=20)
PATH = st.sampled_from(["/", "/vendor/", '/a/${b}"\\/', "/%{x}/#/"])
ACCOUNT = st.integers(0, 10**12 - 1).map("{:012}".format)
EXTERNAL_ID = st.text(alphabet=NAME_CHARACTERS + ":/", min_size=2, max_size=40)
ACTION = st.sampled_from(["s3:GetObject", "s3:*", "ec2:Describe*", "*"])


def statements() -> st.SearchStrategy[dict[str, Any]]:
    """Statements of a permission set, without Sid: Sids must be unique in a set."""
    return st.fixed_dictionaries(
        {
            "effect": st.sampled_from(["Allow", "Deny"]),
            "conditions": st.dictionaries(
                st.sampled_from(["StringLike", "ForAnyValue:StringEquals", "Bool"]),
                st.dictionaries(POLICY_TEXT, st.lists(POLICY_TEXT, min_size=1, max_size=3), min_size=1, max_size=2),
                max_size=2,
            ),
        }
    ).flatmap(
        lambda base: st.tuples(
            st.sampled_from(["actions", "not_actions"]),
            st.lists(ACTION, min_size=1, max_size=3),
            st.sampled_from(["resources", "not_resources"]),
            st.lists(POLICY_TEXT, min_size=1, max_size=3),
        ).map(lambda rest: base | {rest[0]: rest[1], rest[2]: rest[3]})
    )


def permission_sets() -> st.SearchStrategy[dict[str, Any]]:
    """Permission sets with labels as names."""
    one = st.fixed_dictionaries(
        {
            "description": DESCRIPTION,
            "statements": st.lists(statements(), min_size=1, max_size=2),
            "managed_policies": st.lists(st.sampled_from(["ReadOnlyAccess", "job-function/ViewOnlyAccess"]), max_size=2),
            "attach": st.sampled_from(["inline", "managed"]),
        }
    )
    return st.dictionaries(st.sampled_from(["read", "s3-read", "a_b", "X9"]), one, min_size=1, max_size=3)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """A whole manifest as plain values, both flows."""
    sets = draw(permission_sets())
    permissions = st.lists(st.sampled_from(sorted(sets)), max_size=3)
    customer = st.fixed_dictionaries(
        {
            "role": NAME,
            "path": PATH,
            "external_id": st.none() | EXTERNAL_ID,
            "permissions": permissions,
            "tags": TAGS,
            "trust": st.sampled_from(["role-arn", "account-root"]),
            "session_tags": st.booleans(),
            "source_identity": st.booleans(),
            "max_session_seconds": st.integers(3600, 43200),
            "permissions_boundary": st.none() | st.just("arn:aws:iam::aws:policy/ReadOnlyAccess"),
        }
    )
    customers = draw(st.lists(customer, max_size=3))
    people = draw(st.lists(NAME, max_size=3, unique_by=str.lower))
    return {
        "version": 1,
        "backend": {
            "account_id": draw(ACCOUNT),
            "role": {"name": draw(NAME), "path": draw(PATH), "existing": draw(st.booleans())},
            "tags": draw(TAGS),
        },
        "permission_sets": sets,
        "customers": [
            entry | {"name": f"customer{number}", "account_id": f"{number + 1:012}"}
            for number, entry in enumerate(customers)
        ],
        "switch_roles": [
            {
                "name": "switch",
                "trusting": {"name": "one", "account_id": "900000000001"},
                "trusted": {"name": "two", "account_id": "000000000902"},
                "role": draw(NAME),
                "path": draw(PATH),
                "permissions": draw(permissions),
                "group": {"name": draw(NAME), "path": draw(PATH), "existing": draw(st.booleans())},
                "users": [{"name": name, "path": draw(PATH), "console_password": draw(st.booleans())} for name in people],
                "group_in": draw(st.sampled_from(["trusted", "trusting"])),
                "trust": draw(st.sampled_from(["account", "users"] if people else ["account"])),
                "require_mfa": draw(st.booleans()),
                "tags": draw(TAGS),
            }
        ],
    }
