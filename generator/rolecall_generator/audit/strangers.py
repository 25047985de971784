"""Strangers: principals, networks and resources that have nothing to do with an account.

Their names and IDs are derived from the policies, so that no policy can single them out: what the policies allow a stranger,
they allow everyone.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

Keys = Mapping[str, str | tuple[str, ...]]
"""Context keys of a request, in lower case; an empty tuple is a key that is absent."""

ORGANIZATION, ORGANIZATION_PATHS = "aws:principalorgid", "aws:principalorgpaths"
SOURCE_KEYS = ("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner")
"""Keys of the resource for which a service makes a request; the requests of other callers do not have them."""
_ABSENT_OF_CALLERS = (*SOURCE_KEYS, "aws:federatedprovider")
_VPC_KEYS = (
    "aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpcsourceip", "aws:vpceaccount", "aws:vpceorgid",
    "aws:vpceorgpaths",
)  # fmt: skip
GUARD_KEYS = frozenset({ORGANIZATION, ORGANIZATION_PATHS, "aws:userid", "aws:sourceip", *_ABSENT_OF_CALLERS, *_VPC_KEYS})
"""Keys that AWS sets and that a caller cannot choose (AWS global condition context keys, November 2026)."""
NO_ORGANIZATION: Keys = {ORGANIZATION: (), ORGANIZATION_PATHS: ()}
"""Keys of services and identity providers, which are not members of an organization."""

_LETTERS = "abcdefghijklmnop"
_FIRST_OCTETS = (13, 34, 44, 52, 80, 93, 104, 151, 178, 185, 195, 212)
_BROAD_PREFIX = 8
"""An address range with this prefix or a shorter one is so large that anyone can have an address in it."""


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

    @property
    def organization_keys(self) -> Keys:
        """Keys of the stranger's organization."""
        return {ORGANIZATION: self.organization, ORGANIZATION_PATHS: (f"{self.organization}/r-{self.name[:4]}/",)}

    def requests(self, ranges: Iterable[str] = ()) -> Iterator[Keys]:
        """Yield the guard keys of the stranger's requests from the internet and from a VPC.

        `ranges` are address ranges in the policy: the stranger has an address in each broad one.
        """
        common: Keys = {
            **dict.fromkeys(_ABSENT_OF_CALLERS, ()),
            **self.organization_keys,
            "aws:userid": f"AROA{self.name.upper()}:{self.name}",
        }
        for address in (self.address, *_in_broad_ranges(ranges)):
            yield {**common, **dict.fromkeys(_VPC_KEYS, ()), "aws:sourceip": address}
        yield {
            **common,
            "aws:sourceip": (),
            "aws:vpcsourceip": f"10.{self.address.partition('.')[2]}",
            "aws:sourcevpc": f"vpc-0{self.name}",
            "aws:sourcevpcarn": f"arn:aws:ec2:us-east-1:{self.account_id}:vpc/vpc-0{self.name}",
            "aws:sourcevpce": f"vpce-0{self.name}",
            "aws:vpceaccount": self.account_id,
            "aws:vpceorgid": self.organization,
            "aws:vpceorgpaths": self.organization_keys[ORGANIZATION_PATHS],
        }

    def sources(self, arns: Iterable[str]) -> Iterator[Keys]:
        """Yield the keys of a service's requests without a source, and for resources of the stranger with these ARNs."""
        yield dict.fromkeys(SOURCE_KEYS, ())
        for arn in arns:
            yield {
                "aws:sourceaccount": self.account_id,
                "aws:sourceowner": self.account_id,
                "aws:sourceorgid": self.organization,
                "aws:sourceorgpaths": self.organization_keys[ORGANIZATION_PATHS],
                "aws:sourcearn": arn,
            }

    def fill(self, pattern: str) -> str:
        """A string that matches the pattern; wildcards become the stranger's name."""
        return pattern.replace("*", self.name).replace("?", self.name[0])


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
