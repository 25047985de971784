"""Replies of the protocols `query` and `ec2`, read as botocore reads them in half the time.

botocore 1.44.5 asks every member that a shape may have whether the reply has it (an EC2 instance: 70, most of them absent),
and works out each time how a member is called on the wire. Here that is worked out once a shape, and the reply's own
elements are looked up. What is rare in shapes (unions, attributes, headers, errors of their own) is left to botocore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.parsers import EC2QueryParser, QueryParser


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a structure: its name in replies, and how its element is read."""

    name: str
    shape: Any
    read: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class _Structure:
    """Members in the order of the model, and where each is by the name of its element."""

    members: tuple[_Member, ...]
    places: dict[str, int]


class _ByElement:
    """Reads structures and lists; mixed in before a parser of botocore, whose methods it calls for all else."""

    KNOWN_LOCATIONS: tuple[str, ...]
    _parse_shape: Callable[[Any, Any], Any]
    _default_handle: Callable[[Any, Any], Any]
    _member_key_name: Callable[[Any, str], str]

    def __init__(self, timestamp_parser: Any = None, blob_parser: Any = None) -> None:
        super().__init__(timestamp_parser, blob_parser)  # type: ignore[call-arg]
        self._structures: dict[Any, _Structure | None] = {}

    def _handle_structure(self, shape: Any, node: Any) -> Any:
        try:
            structure = self._structures[shape]
        except KeyError:
            structure = self._structures[shape] = self._structure(shape)
        if structure is None:
            return super()._handle_structure(shape, node)  # type: ignore[misc]
        found: dict[int, Any] = {}
        places = structure.places
        for element in node[0] if isinstance(node, list) else node:
            place = places.get(element.tag.rpartition("}")[2])
            if place is None:
                continue
            if place not in found:
                found[place] = element
            elif isinstance(found[place], list):
                found[place].append(element)
            else:
                found[place] = [found[place], element]
        members = structure.members
        # In the model's order, as botocore gives them: columns of a table come from it.
        return {members[place].name: members[place].read(members[place].shape, found[place]) for place in sorted(found)}

    def _handle_list(self, shape: Any, node: Any) -> list[Any]:
        if shape.serialization.get("flattened") and not isinstance(node, list):
            node = [node]
        member = shape.member
        read = self._reader(member)
        return [read(member, element) for element in node]

    def _reader(self, shape: Any) -> Callable[[Any, Any], Any]:
        return getattr(self, f"_handle_{shape.type_name}", self._default_handle)

    def _structure(self, shape: Any) -> _Structure | None:
        """What there is to know of a structure; None where botocore shall read it."""
        if shape.metadata.get("exception") or shape.is_tagged_union:
            return None
        members: list[_Member] = []
        places: dict[str, int] = {}
        for name, member in shape.members.items():
            how = member.serialization
            element = self._member_key_name(member, name)
            special = how.get("location") in self.KNOWN_LOCATIONS or how.get("eventheader") or how.get("xmlAttribute")
            if special or element in places:
                return None
            places[element] = len(members)
            members.append(_Member(name, member, self._reader(member)))
        return _Structure(tuple(members), places)


class _QueryReplies(_ByElement, QueryParser):  # type: ignore[misc]
    pass


class _EC2Replies(_ByElement, EC2QueryParser):  # type: ignore[misc]
    pass


_QUICK: dict[type, type] = {QueryParser: _QueryReplies, EC2QueryParser: _EC2Replies}


def quick_parser(parser: Any) -> Any:
    """A parser that gives the same replies as this one of botocore's; the same one where there is no quicker way."""
    quick = _QUICK.get(type(parser))
    return quick(parser._timestamp_parser, parser._blob_parser) if quick else parser
