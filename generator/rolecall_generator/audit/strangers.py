"""Strangers: principals, networks and resources that have nothing to do with an account.

Their names and IDs are derived from the policies, so that no policy can single them out: what the policies allow a stranger,
they allow everyone. A pattern in a policy is filled in with the stranger's name, where the stranger can have such a value.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from rolecall_generator.audit.tables import SharedIssuer, shared_issuers
from rolecall_generator.iam import Condition

PatternsByKey = Mapping[str, Sequence[str]]
"""Values of the conditions of a policy by key, in lower case."""

ORGANIZATION, ORGANIZATION_PATHS = "aws:principalorgid", "aws:principalorgpaths"
_MANAGEMENT_ACCOUNT, _USER_ID, _SOURCE_IP = "aws:principalorgmasteraccountid", "aws:userid", "aws:sourceip"
_SOURCE_ACCOUNT, _SOURCE_ARN = "aws:sourceaccount", "aws:sourcearn"
_ORGANIZATION_KEYS = (ORGANIZATION, ORGANIZATION_PATHS, _MANAGEMENT_ACCOUNT)
SOURCE_KEYS = (_SOURCE_ACCOUNT, _SOURCE_ARN, "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner")
"""Keys of the resource for which a service makes a request; the requests of other callers do not have them."""
_VPC_KEYS = (
    "aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpcsourceip", "aws:vpceaccount", "aws:vpceorgid",
    "aws:vpceorgpaths",
)  # fmt: skip
_COMPUTE_KEYS = ("ec2:sourceinstancearn", "lambda:sourcefunctionarn", "aws:ec2instancesourcevpc", "aws:chatbotsourcearn")
"""Keys of the resource whose credentials a caller uses."""
_PROVIDER = "aws:federatedprovider"
GUARD_KEYS = frozenset({
    ORGANIZATION, ORGANIZATION_PATHS, _MANAGEMENT_ACCOUNT, _USER_ID, _SOURCE_IP, _PROVIDER, *SOURCE_KEYS, *_VPC_KEYS,
    *_COMPUTE_KEYS,
})  # fmt: skip
"""Keys that AWS sets and that a caller cannot choose (AWS global condition context keys, November 2026)."""

_LETTERS = "abcdefghijklmnop"
_FIRST_OCTETS = (13, 34, 44, 52, 80, 93, 104, 151, 178, 185, 195, 212)
_BROAD_PREFIX = 8
"""An address range with this prefix or a shorter one is so large that anyone can have an address in it."""
_ACCOUNT_DIGITS, _ACCOUNT_PART, _ARN_COLONS = 12, 4, 5
_LONG_ID = 12
"""Literal characters of an ID after which a wildcard leaves no other ID: `o-` with ten characters, or `AROA` with eight."""
_WILDCARD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Stranger:
    """A principal of an unrelated account. `name` consists of letters, and is also a name for resources and tenants."""

    name: str
    account_id: str
    organization: str
    address: str

    @classmethod
    def of(cls, text: str) -> Stranger:
        """The stranger of policies, given their text."""
        return _stranger(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())

    def requests(self, patterns: PatternsByKey) -> Iterator[tuple[Condition, ...]]:
        """Yield conditions on the guard keys of `patterns` that hold for the stranger's requests from the internet, and from
        a VPC. A condition lists all values of a key that the stranger can have.
        """
        keys = [key for key in patterns if key in GUARD_KEYS]
        internet = {key: self._values(key, patterns[key]) for key in keys}
        without_vpc = {**internet, **{key: () for key in keys if key in _VPC_KEYS}}
        yield _conditions(without_vpc)
        if any(key in _ORGANIZATION_KEYS for key in keys):
            # An account that is in no organization.
            yield _conditions({**without_vpc, **{key: () for key in keys if key in _ORGANIZATION_KEYS}})
        if any(key in _VPC_KEYS or key == _SOURCE_IP for key in keys):
            yield _conditions({**internet, **({_SOURCE_IP: ()} if _SOURCE_IP in internet else {})})

    def _values(self, key: str, patterns: Sequence[str]) -> tuple[str, ...]:
        """The values of a guard key; empty if the stranger's requests do not have it."""
        if key in SOURCE_KEYS:
            return ()
        if key == _SOURCE_IP:
            return self.address, *_in_broad_ranges(patterns)
        if key in _COMPUTE_KEYS or key == _PROVIDER:
            is_arn = key != "aws:ec2instancesourcevpc"
            return tuple(filter(None, (self.fill_arn(each) if is_arn else self._fill_id(each) for each in patterns)))
        own = {
            ORGANIZATION: self.organization,
            ORGANIZATION_PATHS: self._organization_path,
            _MANAGEMENT_ACCOUNT: self.account_id,
            _USER_ID: f"{self._unique_id}:{self.name}",
            "aws:vpcsourceip": f"10.{self.address.partition('.')[2]}",
            "aws:sourcevpc": f"vpc-0{self.name}",
            "aws:sourcevpcarn": f"arn:aws:ec2:us-east-1:{self.account_id}:vpc/vpc-0{self.name}",
            "aws:sourcevpce": f"vpce-0{self.name}",
            "aws:vpceaccount": self.account_id,
            "aws:vpceorgid": self.organization,
            "aws:vpceorgpaths": self._organization_path,
        }[key]
        if key == "aws:vpcsourceip":
            return (own, *(value for value in map(_first_address, patterns) if value))
        fills = {_MANAGEMENT_ACCOUNT: self.fill_account, "aws:vpceaccount": self.fill_account, _USER_ID: self._fill_user_id}
        others = map(self.fill_arn if key == "aws:sourcevpcarn" else fills.get(key, self._fill_id), patterns)
        return tuple(dict.fromkeys((own, *filter(None, others))))

    def sources(self, service: str, patterns: PatternsByKey) -> Iterator[tuple[Condition, ...]]:
        """Yield conditions on the source keys of `patterns` that hold for a service's requests without a source, and for
        resources of the stranger.
        """
        keys = [key for key in patterns if key in SOURCE_KEYS]
        yield _conditions(dict.fromkeys(keys, ()))
        accounts = dict.fromkeys((self.account_id, *filter(None, map(self.fill_account, patterns.get(_SOURCE_ACCOUNT, ())))))
        arns = [f"arn:aws:{service}:us-east-1:{account}:{self.name}" for account in accounts]
        for pattern in patterns.get(_SOURCE_ARN, ()):
            if _WILDCARD.search(pattern):
                strangers = (replace(self, account_id=account) for account in accounts)
                arns += filter(None, (stranger.fill_arn(pattern) for stranger in strangers))
        for arn in dict.fromkeys(arns):
            owner = arn.split(":", 5)[_ACCOUNT_PART] if arn.count(":") > _ACCOUNT_PART else ""
            owners = (owner,) if owner else tuple(accounts)
            values: dict[str, tuple[str, ...]] = {
                _SOURCE_ACCOUNT: owners,
                "aws:sourceowner": owners,
                "aws:sourceorgid": (self.organization, *self._filled_ids(patterns.get("aws:sourceorgid", ()))),
                "aws:sourceorgpaths": (self._organization_path, *self._filled_ids(patterns.get("aws:sourceorgpaths", ()))),
                _SOURCE_ARN: (arn,),
            }
            yield _conditions({key: values[key] for key in keys})

    def tokens(self, issuer: str, patterns: PatternsByKey) -> Iterator[tuple[Condition, ...]]:
        """Yield conditions on claims that hold for tokens of the stranger: as another tenant of a shared issuer, or with
        another subject of any other issuer. Claims other than the tenant or subject may be absent.
        """
        shared = shared_issuers().get(issuer)
        prefix = f"{issuer}:".lower()
        name = self.name[:_TENANT_CHARACTERS]
        if shared is not None:
            claim = f"{prefix}{shared.claim}"
            subjects = _subjects(shared, patterns.get(claim, ()), name)
            others = [f"{prefix}{each}" for each in shared.other_claims if f"{prefix}{each}" in patterns]
        else:
            claim = f"{prefix}sub"
            subjects = [name, f"system:serviceaccount:{name}:{name}"]
            # All identities of an issuer have the same audience.
            others = [key for key in patterns if key.startswith(prefix) and key not in {claim, f"{prefix}aud"}]
        tenant = (Condition("StringEquals", claim, tuple(subjects)),) if claim in patterns else ()
        of_others = [(key, _claim_values(patterns[key], self)) for key in others]
        # A claim can have several values, all of which are the stranger's.
        present = (Condition("Null", key, ("false",)) for key in others)
        yield (*tenant, *(Condition("ForAllValues:StringEquals", *each) for each in of_others), *present)
        if others:
            yield (*tenant, *(Condition("Null", key, ("true",)) for key in others))

    @property
    def _organization_path(self) -> str:
        return f"{self.organization}/r-{self.name[:4]}/"

    def _filled_ids(self, patterns: Iterable[str]) -> Iterator[str]:
        return filter(None, map(self._fill_id, patterns))

    @property
    def _unique_id(self) -> str:
        return f"AROA{self.name.upper()}"

    def _fill_user_id(self, pattern: str) -> str | None:
        """A value of aws:userid, the unique ID of a role and the name of its session, that matches a pattern."""
        if not pattern.startswith("*"):
            return self._fill_id(pattern)
        head = self._unique_id if ":" in pattern else f"{self._unique_id}:{self.name}"
        return head + self.fill(pattern[1:])

    def fill(self, pattern: str) -> str:
        """A string that matches the pattern; wildcards become the stranger's name."""
        return pattern.replace("*", self.name).replace("?", self.name[0])

    def fill_account(self, pattern: str) -> str | None:
        """The ID of another account that matches a pattern; None if it names one account."""
        if not _WILDCARD.search(pattern):
            return None
        missing = _ACCOUNT_DIGITS - len(pattern.replace("*", ""))
        filled = pattern.replace("*", self.account_id[: max(0, missing)], 1).replace("*", "")
        digits = iter(self.account_id)
        filled = "".join(next(digits, "0") if letter == "?" else letter for letter in filled)
        return filled if re.fullmatch(r"[0-9]{12}", filled) else None

    def fill_arn(self, pattern: str) -> str | None:
        """An ARN of another account that matches a pattern; None if it only matches ARNs of the account that it names."""
        missing = _ARN_COLONS - pattern.count(":")
        if missing > 0 and "*" in pattern:
            # A wildcard that stands for several parts.
            before, _, after = pattern.partition("*")
            parts = ["arn", "aws", "iam", "us-east-1", self.account_id, self.name]
            first = before.count(":")
            pattern = f"{before}{':'.join(parts[first : first + missing + 1])}{after}"
            if pattern.split(":", 5)[_ACCOUNT_PART] == self.account_id:
                return self.fill(pattern)
        parts = pattern.split(":", 5)
        if len(parts) <= _ACCOUNT_PART:
            return self.fill(pattern)
        if not parts[_ACCOUNT_PART]:
            # Such as the ARN of a bucket: anyone can own another one that matches.
            return self.fill(pattern) if _WILDCARD.search(parts[-1]) else None
        account = self.fill_account(parts[_ACCOUNT_PART])
        if account is None:
            return None
        parts[_ACCOUNT_PART] = account
        return self.fill(":".join(parts))

    def _fill_id(self, pattern: str) -> str | None:
        """A value that matches a pattern for an ID, which can be followed by a name or path; None if it names one ID."""
        identifier = re.split(r"[:/]", pattern, maxsplit=1)[0]
        if not _WILDCARD.search(identifier) or len(_WILDCARD.sub("", identifier)) >= _LONG_ID:
            return None
        filled = pattern.replace("*", self.name.upper() if pattern.startswith(("A", "*")) else self.name, 1)
        return self.fill(filled)


def _conditions(values: Mapping[str, Sequence[str]]) -> tuple[Condition, ...]:
    """Conditions by which a request has one of the values of each key; without values, it does not have the key."""
    paths = [key for key, each in values.items() if each and key.endswith("orgpaths")]
    return (
        *(
            Condition("Null", key, ("true",))
            if not each
            else Condition("IpAddress", key, tuple(each))
            if key in {_SOURCE_IP, "aws:vpcsourceip"}
            else Condition("ForAllValues:StringEquals" if key in paths else "StringEquals", key, tuple(each))
            for key, each in values.items()
        ),
        # ForAllValues also holds without the key.
        *(Condition("Null", key, ("false",)) for key in paths),
    )


@lru_cache(maxsize=4_096)
def _stranger(digest: bytes) -> Stranger:
    letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)
    octets = (_FIRST_OCTETS[digest[0] % len(_FIRST_OCTETS)], digest[1], digest[2], digest[3])
    number = int.from_bytes(digest[:8], "big") % 900_000_000_000 + 100_000_000_000
    return Stranger(letters[:17], str(number), f"o-{letters[17:29]}", ".".join(map(str, octets)))


def _in_broad_ranges(ranges: Iterable[str]) -> Iterator[str]:
    for text in ranges:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        if network.prefixlen <= _BROAD_PREFIX:
            yield str(network[network.num_addresses // 3])


def _first_address(text: str) -> str | None:
    """An address of a private range, which anyone can use in a VPC; None if it is none."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return str(network[0]) if network.is_private else None


def _claim_values(patterns: Iterable[str], stranger: Stranger) -> tuple[str, ...]:
    """Values of a claim of a stranger: its name, and patterns that leave the beginning open."""
    return tuple(dict.fromkeys((stranger.name, *(stranger.fill(each) for each in patterns if each[:1] in {"*", "?"}))))


_TENANT_CHARACTERS = 8
"""Length of a stranger's name as a tenant. Measured: long values take a third of the time of a search."""
_MOST_SUBJECTS = 100
"""Maximum number of subjects of a stranger that are examined; if there are more of them, an open pattern is among them."""


def _subjects(shared: SharedIssuer, values: Iterable[str], name: str) -> list[str]:
    """Values of the tenant's claim that a stranger with this name can have: typical ones, and instances of the values."""
    typical = [form.replace("{name}", name) for form in shared.subjects]
    found = dict.fromkeys(typical)
    for value in values:
        for filling in (name, *typical):
            instance = value.replace("*", filling, 1).replace("*", name)
            tenant = shared.tenant.search(instance)
            # The stranger chooses the name of the tenant only if the pattern leaves it open.
            is_open = name in tenant[1] or "?" in tenant[1] if tenant is not None else shared.is_open(value)
            if is_open:
                found.setdefault(instance.replace("?", "x"))
                if len(found) == _MOST_SUBJECTS:
                    return list(found)
    return list(found)
