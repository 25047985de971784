"""External IDs: random ones are never weak, short and predictable ones are."""

from __future__ import annotations

import secrets
import uuid
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolecall_generator.audit.external_ids import WeaknessKind, estimated_bits, weaknesses_of

SHORT, GUESSABLE = WeaknessKind.SHORT, WeaknessKind.GUESSABLE
KNOWN = ("acme-monitoring", "Datadog", "prod")


def kinds(value: str) -> set[WeaknessKind]:
    return {weakness.kind for weakness in weaknesses_of(value, KNOWN)}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ab", {SHORT}),
        ("q7Zt2", {SHORT}),
        ("12345", {SHORT, GUESSABLE}),
        ("222222222222", {SHORT, GUESSABLE}),
        ("acme", {SHORT, GUESSABLE}),
        ("acme-222222222222", {GUESSABLE}),
        ("acme-prod-2026-11-30", {GUESSABLE}),
        ("AcmeMonitoringExternalId", {GUESSABLE}),
        ("datadog_external_id_prod", {GUESSABLE}),
        ("acmeprodexternal", {GUESSABLE}),
        ("abcdefghijklmnopqrst", {GUESSABLE}),
        ("0000000000000000", {GUESSABLE}),
        ("my-external-id", {GUESSABLE}),
        ("customer-00042-acme", {GUESSABLE}),
        ("12cb6fc4-ecc2-11f1-819d-02fc00000001", {GUESSABLE}),
        ("3b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", set()),
        ("0f0c5a6e8d2b4c7f9a1e3b5d7f9a1c3e", set()),
        ("acme-0f0c5a6e8d2b4c7f9a1e", set()),
        ("FGwSZJhHmJU-nT-G", set()),
        ("kX9-vT4.bQ2_zL", set()),
    ],
)
def test_weaknesses(value: str, expected: set[WeaknessKind]) -> None:
    assert expected == kinds(value)


@pytest.mark.parametrize("seed", range(4))
def test_random_ids_are_not_weak(seed: int) -> None:
    """Names, words and dates are not seen in random letters and digits."""
    random = Random(seed)  # noqa: S311 - reproducible
    for _ in range(500):
        data = random.randbytes(16)
        for value in (data.hex(), str(uuid.UUID(bytes=data, version=4)), secrets.token_urlsafe(16)):
            assert set() == kinds(value), value


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=40))
def test_bits_grow_with_the_length(text: str) -> None:
    assert 0 <= estimated_bits(text) <= estimated_bits(text + "a")


@settings(deadline=None)
@given(st.text(max_size=200), st.lists(st.text(max_size=30), max_size=3))
def test_any_string_has_an_answer_without_the_id(value: str, names: list[str]) -> None:
    for weakness in weaknesses_of(value, tuple(names)):
        assert weakness.reason
        assert len(value) < 8 or value not in weakness.reason


def test_a_long_id_takes_no_long_time() -> None:
    """AWS allows 1,224 characters."""
    assert kinds("acme-" * 244) == {GUESSABLE}
    assert kinds("ab12" * 306) == set()
