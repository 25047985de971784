"""A bundle never contains another customer's data: all of its bytes are searched."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from bundle_worlds import handovers
from rolecall_generator.bundle.build import bundle_files
from rolecall_generator.manifest.models import Manifest


def own_words(number: int) -> dict[str, str]:
    """Values that only this customer has, by field."""
    return {what: f"{what}of{'abc'[number]}{number}zq" for what in (
        "name", "role", "path", "new", "old", "tag", "set", "action", "bucket", "boundary", "group", "user", "description",
    )} | {"account": f"{number + 3}{number + 3}4455667788"}  # fmt: skip


def customer(number: int, options: dict[str, Any]) -> dict[str, Any]:
    word = own_words(number)
    return {
        "name": word["name"],
        "account_id": word["account"],
        "role": word["role"],
        "path": f"/{word['path']}/",
        "external_id": word["new"],
        "previous_external_id": word["old"] if options["rotating"] else None,
        "tags": {word["tag"]: word["tag"]},
        "permissions": [word["set"]],
        "trust": options["trust"],
        "session_tags": options["session_tags"],
        "permissions_boundary": f"arn:aws:iam::{word['account']}:policy/{word['boundary']}" if options["boundary"] else None,
    }


def switch_role(number: int) -> dict[str, Any]:
    word = own_words(number)
    return {
        "name": word["name"],
        "trusting": {"name": word["name"], "account_id": word["account"]},
        "trusted": {"name": f"{word['name']}2", "account_id": f"{word['account'][:-2]}99"},
        "role": word["role"],
        "permissions": [word["set"]],
        "group": word["group"],
        "users": [{"name": word["user"]}],
        "tags": {word["tag"]: word["tag"]},
    }


def permission_set(number: int) -> dict[str, Any]:
    word = own_words(number)
    arns = [f"arn:aws:s3:::{word['bucket']}", f"arn:aws:s3:::{word['bucket']}/*"]
    return {"description": word["description"], "statements": [{"actions": ["s3:GetObject"], "resources": arns}]}


OPTIONS = st.fixed_dictionaries(
    {
        "rotating": st.booleans(),
        "trust": st.sampled_from(["role-arn", "account-root"]),
        "session_tags": st.booleans(),
        "boundary": st.booleans(),
    }
)


_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)


def _pdf_bytes(content: bytes) -> bytes:
    """The file itself, each of its streams decompressed, and the text of its pages."""
    pages = "\n".join(page.extract_text() for page in PdfReader(BytesIO(content)).pages)
    return b"\n".join((content, *_streams(content), pages.encode()))


def _streams(content: bytes) -> Iterator[bytes]:
    for match in _STREAM.finditer(content):
        packed = match[1]
        if packed.rstrip().endswith(b"~>"):
            packed = base64.a85decode(packed.strip().removesuffix(b"~>"))
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            yield packed


def all_bytes(files: dict[str, bytes]) -> bytes:
    """Names and contents of all files; PDF streams are decompressed."""
    contents = (_pdf_bytes(content) if name.endswith(".pdf") else content for name, content in files.items())
    return b"\n".join((*(name.encode() for name in files), *contents))


@settings(max_examples=15, deadline=None)
@given(st.tuples(OPTIONS, OPTIONS), st.sampled_from(["explicit", "fixed-role-name"]))
def test_bundle_contains_no_data_of_other_customers(options: tuple[dict[str, Any], ...], grant: str) -> None:
    customers = [customer(number, chosen) for number, chosen in enumerate(options)]
    if grant == "fixed-role-name":
        customers = [entry | {"role": "shared", "path": "/"} for entry in customers]
    manifest = Manifest.model_validate(
        {
            "version": 1,
            "backend": {"account_id": "111111111111", "grant": grant},
            "permission_sets": {own_words(number)["set"]: permission_set(number) for number in range(3)},
            "customers": customers,
            "switch_roles": [switch_role(2)],
        }
    )
    for path, handover in handovers(manifest).items():
        searched = all_bytes(dict(bundle_files(replace(handover, pdf=True))))
        owner = next(number for number in range(3) if own_words(number)["name"] in path)
        found = [
            (path, word) for other in {0, 1, 2} - {owner} for word in own_words(other).values() if word.encode() in searched
        ]

        assert [] == found
        assert own_words(owner)["account"].encode() in searched


def test_search_covers_compressed_pdf_streams() -> None:
    manifest = Manifest.model_validate(
        {"version": 1, "backend": {"account_id": "111111111111"}, "customers": [
            {"name": "acme", "account_id": "222222222222", "external_id": "id-of-acme", "permissions": []}
        ]}
    )  # fmt: skip
    pdf = bundle_files(replace(handovers(manifest)["acme"], pdf=True))["review/review.pdf"]

    assert b"id-of-acme" in _pdf_bytes(pdf)
