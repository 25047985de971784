"""From reaches to the graph: principals in their accounts, and roles that are alike as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rolecall_generator.checks.candidates import OTHER, STRANGER, is_invented
from rolecall_generator.checks.formats.picture_graph import Account, Edge, Graph, Node
from rolecall_generator.checks.formats.picture_reach import from_access, from_proof
from rolecall_generator.checks.formats.proof_words import kind_word
from rolecall_generator.checks.proof import Proof
from rolecall_generator.iam.access import Access
from rolecall_generator.iam.principals import identity_of

SINGLY = 40
"""Up to so many roles each one is drawn; with more, those that are reached alike and as meant stand as one."""

FAILING_SINGLY = 200
"""More failing roles than this would make a picture that nobody can open; those beyond stand as one, as failing."""

_PLACEHOLDERS = {OTHER: "any other", STRANGER: "any"}


def reaches(access: Access, proof: Proof | None = None, names: Mapping[str, str] | None = None) -> Graph:
    """The picture of who reaches what.

    With a proof: what was meant and holds, what was meant and does not, and what nobody meant. Without: what the trust
    policies of `access` name. `names` are names of accounts by id.
    """
    found = from_access(access) if proof is None else from_proof(proof)
    by_role: dict[str, list[Edge]] = {}
    for edge in found.edges.values():
        by_role.setdefault(edge.target, []).append(edge)
    single, groups = _grouped(by_role)
    edges = [edge for role in single for edge in by_role[role]]
    nodes = {role: Node(role, *_named(role), found.subjects.get(role, "")) for role in single}
    title = _Titles(names or {}, found.nobodys_account)
    roles = title.accounts(nodes.values())
    for number, members in enumerate(groups, 1):
        node, ways = _group(f"group {number}", members, by_role)
        accounts = len({identity_of(role).account_id for role in members})
        roles += (Account("", "one account" if accounts == 1 else f"{accounts:,} accounts", (node,)),)
        edges += ways
    callers = (Node(arn, *_named(arn)) for arn in dict.fromkeys(edge.source for edge in edges))
    return Graph(title.accounts(callers), roles, tuple(edges))


def _grouped(by_role: Mapping[str, list[Edge]]) -> tuple[list[str], list[list[str]]]:
    """Roles to draw singly, and groups of roles that the same callers reach in the same way."""
    if len(by_role) <= SINGLY:
        return list(by_role), []
    failing = [role for role, edges in by_role.items() if any(edge.standing.failed for edge in edges)]
    alone = dict.fromkeys(failing[:FAILING_SINGLY])
    alike: dict[frozenset[tuple[object, ...]], list[str]] = {}
    for role, edges in by_role.items():
        if role not in alone:
            way = frozenset((edge.source, edge.conditions, edge.standing) for edge in edges)
            alike.setdefault(way, []).append(role)
    groups = [roles for roles in alike.values() if len(roles) > 1]
    alone.update(dict.fromkeys(roles[0] for roles in alike.values() if len(roles) == 1))
    return list(alone), groups


def _group(key: str, roles: list[str], by_role: Mapping[str, list[Edge]]) -> tuple[Node, list[Edge]]:
    ways = [Edge(edge.source, key, edge.conditions, edge.standing) for edge in by_role[roles[0]]]
    customers = any("external id" in edge.conditions for edge in ways)
    failing = "failing " if any(edge.standing.failed for edge in ways) else ""
    name = f"{len(roles):,} {failing}{'customer ' if customers else ''}roles"
    return Node(key, name, "", "" if failing else "each as intended", len(roles)), ways


def _named(arn: str) -> tuple[str, str]:
    """A principal's name and kind as people say them."""
    who, kind = identity_of(arn), kind_word(arn)
    if arn == "*":
        return "everybody", ""
    for stem, words in _PLACEHOLDERS.items():
        if is_invented(arn, stem):
            return f"{words} {kind}", ""
    return ("the whole account", "") if kind == "account" else (who.name, kind)


class _Titles:
    """Accounts and how they are called: by name and id where the name is known."""

    def __init__(self, names: Mapping[str, str], nobodys: str) -> None:
        self._names = names
        self._nobodys = nobodys

    def accounts(self, nodes: Iterable[Node]) -> tuple[Account, ...]:
        """Boxes in the order in which their accounts occur, each with its nodes."""
        boxes: dict[str, list[Node]] = {}
        for node in nodes:
            boxes.setdefault(identity_of(node.key).account_id, []).append(node)
        return tuple(Account(account, self._title(account), tuple(held)) for account, held in boxes.items())

    def _title(self, account_id: str) -> str:
        if account_id and account_id == self._nobodys:
            return "any other account"
        name = self._names.get(account_id)
        return f"{name} · {account_id}" if name else account_id
