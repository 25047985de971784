"""Certificates: genuine ones of manifests and random roles are accepted, and no forged one is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from certificate_forger import alter, covered_pair, forge, random_source, usual_pair
from certificate_programs import ACCEPTED, PROGRAMS, REJECTED, UNSUPPORTED, check, is_covered, verify_full_certificate
from manifests import customer, manifest_of, notes_manifest, rendered
from policy_pairs import ROLE, PolicyGenerator
from policy_text import document
from rolecall_generator.check import intended_trust
from rolecall_generator.iam import Module, PolicyDocument, Role
from rolecall_generator.iam.data import read_table
from rolecall_generator.manifest import Manifest
from rolecall_generator.planning import make_plan
from rolecall_generator.proof.symbolic import InclusionState, Trust, compare, make_certificate
from rolecall_generator.proof.symbolic.certificate import NoCertificateError, certify
from rolecall_generator.proof.symbolic.world import intent_document

SHORT, FULL = PROGRAMS
TWO_SEEDS = [1, pytest.param(2, marks=pytest.mark.slow)]
THREE_SEEDS = [*TWO_SEEDS, pytest.param(3, marks=pytest.mark.slow)]
Content = dict[str, Any]


def read_back(content: Content) -> Content:
    """The certificate as it is in a file."""
    found: Content = json.loads(json.dumps(content))
    return found


# Manifests


def intent_of(module: Module, role: Role) -> PolicyDocument:
    """What the manifest intends for a role of the module."""
    return intent_document(trust for trust in intended_trust([module]).trusts if trust.role_arn == role.arn)


def roles_of(manifest: Manifest, folder: Path) -> Iterator[tuple[Role, PolicyDocument, Path]]:
    """Every role that the manifest creates, its intent, and the main.tf that creates it."""
    plan = make_plan(manifest)
    for name, text in rendered(plan).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for planned in plan.modules:
        module = planned.build()
        for role in module.access.roles.values():
            if role.trust is not None:
                yield role, intent_of(module, role), folder / planned.path / "main.tf"


def people(**changes: Any) -> dict[str, Any]:
    """A switch role of two users."""
    return {
        "name": "support",
        "trusting": {"name": "production", "account_id": "507074252730"},
        "trusted": {"name": "people", "account_id": "078352025563"},
        "role": "Support",
        "permissions": ["read"],
        "group": "support",
        "users": [{"name": "ann"}, {"name": "bob", "path": "/team/"}],
    } | changes


VARIANTS: dict[str, dict[str, Any]] = {
    "customers": {
        "customers": [
            customer(1),
            customer(2, trust="account-root"),
            customer(3, previous_external_id="old-id"),
            customer(4, trust="account-root", previous_external_id="old-id", session_tags=True),
            customer(5, source_identity=True),
            customer(6, session_tags=True, source_identity=True, tags={"team": "a"}),
        ]
    },
    "people": {"switch_roles": [people()]},
    "people without MFA": {"switch_roles": [people(require_mfa=False)]},
    "named people": {"switch_roles": [people(trust="users")]},
    "people of the trusting account": {"switch_roles": [people(group_in="trusting")]},
    "named people of the trusting account": {"switch_roles": [people(group_in="trusting", trust="users")]},
    "China": {"partition": "aws-cn", "customers": [customer(1, trust="account-root")], "switch_roles": [people()]},
    "GovCloud": {"partition": "aws-us-gov", "customers": [customer(1)], "switch_roles": [people(trust="users")]},
}


def manifests() -> Iterator[Any]:
    yield pytest.param(notes_manifest(), id="example accounts")
    for name, changes in VARIANTS.items():
        yield pytest.param(manifest_of(**changes), id=name)


@pytest.mark.parametrize("manifest", list(manifests()))
def test_certificates_of_manifests_are_accepted_with_their_modules(manifest: Manifest, tmp_path: Path) -> None:
    checked = 0
    for role, intent, main_tf in roles_of(manifest, tmp_path):
        content = read_back(certify(role, intent))
        assert {"nothing_else", "everything_intended"} == content["claims"].keys()
        assert ACCEPTED == check(SHORT, content, tmp_path, main_tf).status
        path = tmp_path / "trust.json"
        path.write_text(json.dumps(content["policies"]["trust"]))
        for program in PROGRAMS:
            assert ACCEPTED == check(program, content, tmp_path, path).status
        checked += 1
    assert checked


def test_certificate_of_another_role_is_rejected(tmp_path: Path) -> None:
    roles = list(roles_of(notes_manifest(), tmp_path))
    statuses = Counter(
        check(SHORT, read_back(certify(role, intent)), tmp_path, other_tf).status
        for role, intent, own_tf in roles
        for _, _, other_tf in roles
        if own_tf != other_tf
    )
    assert {REJECTED} == statuses.keys()


# Random roles


def certificates(pairs: Iterator[tuple[PolicyDocument, PolicyDocument]], count: int) -> Iterator[Content]:
    """Certificates of the pairs for which there are any, both ways."""
    while count:
        one, other = next(pairs)
        for trust, intent in ((one, other), (other, one)):
            try:
                content = certify(Role(ROLE, trust, tags={"team": "ab"}), intent)
            except NoCertificateError:
                continue
            yield read_back(content)
            count -= 1
            if not count:
                return


KINDS = ("random", "usual", "covered")


def pairs_of(kind: str, seed: int) -> Iterator[tuple[PolicyDocument, PolicyDocument]]:
    """Random pairs of policies of a kind."""
    rng = random_source(seed)
    makers: dict[str, Callable[[], tuple[PolicyDocument, PolicyDocument]]] = {
        "random": PolicyGenerator(rng).pair,
        "usual": partial(usual_pair, rng),
        "covered": partial(covered_pair, rng),
    }
    while True:
        yield makers[kind]()


@pytest.mark.parametrize("seed", THREE_SEEDS)
def test_certificates_of_random_roles_are_accepted(seed: int, tmp_path: Path) -> None:
    for content in certificates(pairs_of("random", seed), 60):
        assert ACCEPTED == check(FULL, content, tmp_path).status
        assert check(SHORT, content, tmp_path).status != REJECTED


def test_most_proofs_have_a_certificate() -> None:
    """The program does not use everything that the engine does: how numbers are ordered, how long values can be."""
    counts = Counter[bool]()
    for seed in (1, 2, 3):
        pairs = pairs_of("random", seed)
        while counts.total() < 100 * seed:
            trust, intent = next(pairs)
            role = Role(ROLE, trust, tags={"team": "ab"})
            if compare(role, trust, intent).forward.state is InclusionState.PROVEN:
                try:
                    certify(role, intent)
                    counts[True] += 1
                except NoCertificateError:
                    counts[False] += 1
    assert counts[False] <= 24


@pytest.mark.parametrize("seed", TWO_SEEDS)
def test_certificates_of_usual_roles_are_accepted_by_both_programs(seed: int, tmp_path: Path) -> None:
    for content in certificates(pairs_of("usual", seed), 60):
        uses_facts = any(claim["facts"] for claim in content["claims"].values())
        assert ACCEPTED == check(FULL, content, tmp_path).status
        covered = not uses_facts and all(map(is_covered, content["policies"].values()))
        assert (ACCEPTED if covered else UNSUPPORTED) == check(SHORT, content, tmp_path).status


# Forged certificates


@pytest.mark.parametrize("seed", THREE_SEEDS)
def test_certificates_of_false_claims_are_not_accepted(seed: int, tmp_path: Path) -> None:
    rng, pairs, forged = random_source(seed), pairs_of("random", seed), 0
    while forged < 60:
        one, other = next(pairs)
        for trust, intent in ((one, other), (other, one)):
            if (content := forge(trust, intent, rng)) is not None:
                forged += 1
                assert {check(program, content, tmp_path).status for program in PROGRAMS} <= {REJECTED, UNSUPPORTED}


@pytest.mark.parametrize("seed", TWO_SEEDS)
def test_certificates_of_false_claims_about_usual_roles_are_rejected(seed: int, tmp_path: Path) -> None:
    rng, pairs, forged = random_source(seed), pairs_of("usual", seed), 0
    while forged < 60:
        content = forge(*next(pairs), rng)
        if content is not None:
            forged += 1
            assert REJECTED == check(FULL, content, tmp_path).status
            content["claims"]["nothing_else"]["facts"] = []
            assert REJECTED == check(FULL, content, tmp_path).status
            covered = all(map(is_covered, content["policies"].values()))
            assert (REJECTED if covered else UNSUPPORTED) == check(SHORT, content, tmp_path).status


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", TWO_SEEDS)
def test_altered_certificates_are_accepted_only_for_true_claims(kind: str, seed: int, tmp_path: Path) -> None:
    rng = random_source(seed)
    statuses: Counter[int] = Counter()
    for genuine in certificates(pairs_of(kind, seed), 25):
        for _ in range(4):
            content = alter(genuine, rng)
            verdicts = {check(program, content, tmp_path).status for program in PROGRAMS}
            statuses.update(verdicts)
            if ACCEPTED in verdicts:
                assert holds(content), json.dumps(content)
    assert min(statuses[ACCEPTED], statuses[REJECTED]) > 0  # both happen


@pytest.mark.parametrize("seed", TWO_SEEDS)
def test_forged_and_altered_certificates_are_accepted_by_the_short_program_only_for_true_claims(
    seed: int, tmp_path: Path
) -> None:
    rng, pairs, forged = random_source(seed), pairs_of("covered", seed), 0
    while forged < 40:
        content = forge(*next(pairs), rng)
        if content is None:
            continue
        forged += 1
        content["claims"]["nothing_else"]["facts"] = []
        assert REJECTED == check(SHORT, content, tmp_path).status
        for _ in range(5):
            altered = alter(content, rng)
            assert check(SHORT, altered, tmp_path).status != ACCEPTED or holds(altered), json.dumps(altered)


def holds(content: Content) -> bool:
    """Whether the claims of a certificate are true, as far as the engine knows."""
    trust, intent = (PolicyDocument.from_json(content["policies"][side]) for side in ("trust", "intent"))
    tags = content["tags"] if isinstance(content["tags"], dict) else {}
    tags = {key: value for key, value in tags.items() if isinstance(value, str)}
    comparison = compare(Role(content["role"], trust, tags=tags), trust, intent)
    states = {"nothing_else": comparison.forward.state, "everything_intended": comparison.backward.state}
    return all(states[claim] is not InclusionState.REFUTED for claim in content["claims"])


# Policies at the quota


LARGE = {
    "patterns": {"StringLike": {"aws:PrincipalArn": [f"arn:aws:iam::111111111111:role/a{n:02}*" for n in range(44)]}},
    "infix patterns": {"StringLike": {"aws:PrincipalArn": [f"*a{chr(97 + n % 26)}{n}*" for n in range(50)]}},
    "negated suffixes": {"StringNotLike": {"aws:PrincipalArn": [f"*role{n}" for n in range(50)]}},
    "tag keys": {
        f"{quantifier}:{operator}": {"aws:TagKeys": ["a*", "*b"]}
        for quantifier in ("ForAllValues", "ForAnyValue")
        for operator in ("StringLike", "StringNotLike", "StringEquals", "StringNotEquals")
    },
}


@pytest.mark.parametrize("condition", LARGE.values(), ids=LARGE)
def test_certificates_of_large_policies_are_accepted(condition: Content, tmp_path: Path) -> None:
    principal = {"AWS": "111111111111"}
    trust = document([{"Effect": "Allow", "Action": "sts:*", "Principal": principal, "Condition": condition}])
    intent = document([{"Effect": "Allow", "Action": "sts:*", "Principal": principal}])
    assert ACCEPTED == check(FULL, read_back(certify(Role(ROLE, trust), intent)), tmp_path).status


# Writer and programs


def test_no_certificate_of_a_false_claim() -> None:
    wide = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}])
    narrow = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"}}])
    with pytest.raises(NoCertificateError):
        certify(Role(ROLE, wide), narrow)
    with pytest.raises(NoCertificateError):
        certify(Role(ROLE, None), narrow)
    assert {"nothing_else"} == certify(Role(ROLE, narrow), wide)["claims"].keys()


def test_certificate_lists_tags_in_order() -> None:
    trust = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"}}])
    assert ["a", "b"] == list(certify(Role(ROLE, trust, tags={"b": "ü", "a": ""}), trust)["tags"])


def test_intended_trusts_are_certified_and_no_others() -> None:
    trust = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"}}])
    delegated = Trust("account1", ROLE, delegates_to=frozenset({"111111111111"}))
    found = make_certificate(Role(ROLE, trust), [delegated])
    assert found is not None
    assert {"nothing_else", "everything_intended"} == found["claims"].keys()
    assert make_certificate(Role(ROLE, trust), []) is None


def test_key_tables_of_engine_and_program_agree() -> None:
    """Both are copies of AWS's documentation. A difference is a fault in one of them."""
    program: Any = verify_full_certificate
    table = read_table("assume_role_keys.json")
    entries = {name.lower(): entry for name, entry in table["keys"].items()}
    shapes = table["shapes"]

    def is_filled(entry: Content) -> bool:
        shape = shapes[entry["shape"]] if "shape" in entry else {"shortest": 0}
        return shape["shortest"] > 0 or "pattern" in shape

    for name, form in program.FORMS.items():
        assert (form == "several") == ("many" in entries[name])
        assert (form == "bool") == (entries[name].get("type") == "bool")
        assert form not in {"filled", "several"} or is_filled(entries[name])
    assert not any("many" in entries[name] for name in ("*:aud", "*:sub"))


def test_budget_of_the_programs_is_reset(tmp_path: Path) -> None:
    trust = document([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111111111111"}}])
    content = read_back(certify(Role(ROLE, trust), trust))
    verify_full_certificate.Work.left = 0
    assert ACCEPTED == check(FULL, content, tmp_path).status
