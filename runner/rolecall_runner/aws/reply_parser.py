"""Parsers for replies of the protocols `query` and `ec2` that take a third to half of the time of botocore's.

For every member that a shape may have, botocore 1.44.5 searches the reply (an EC2 instance has 70 members, most of them
absent) and computes the member's name on the wire each time. Here the names are computed once per shape, and only elements
of the reply are looked up. Rare features of shapes (unions, attributes, headers, modeled errors) are left to botocore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.parsers import EC2QueryParser, QueryParser, ResponseParserFactory


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of a structure: its name in parsed replies, its shape, and the method that reads its element."""

    name: str
    shape: Any
    read: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class _Structure:
    """Members in the order of the model, and the index of each by the name of its element."""

    members: tuple[_Member, ...]
    places: dict[str, int]


class _ByElement:
    """Mixin for botocore's parsers that reads structures and lists; they read everything else."""

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
        # In the order of the model, as botocore returns them; it becomes the order of columns.
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
        """The members of a structure; None if botocore has to read it."""
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


_PARSERS: dict[str, type] = {"query": _QueryReplies, "ec2": _EC2Replies}


class ReplyParserFactory(ResponseParserFactory):  # type: ignore[misc]
    """A session's `response_parser_factory` with the parsers of this module, and botocore's for all other protocols.

    botocore requests a parser for every attempt. Those of this module are made once, because they cache shapes; they are
    thread-safe.
    """

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Any] = {}

    def set_parser_defaults(self, **defaults: Any) -> None:
        """As in botocore, but also for parsers that exist already."""
        super().set_parser_defaults(**defaults)
        self._made.clear()

    def create_parser(self, protocol_name: str) -> Any:
        """The parser of a protocol."""
        if protocol_name not in _PARSERS:
            return super().create_parser(protocol_name)
        parser = self._made.get(protocol_name)
        if parser is None:
            parser = self._made[protocol_name] = _PARSERS[protocol_name](**self._defaults)
        return parser
