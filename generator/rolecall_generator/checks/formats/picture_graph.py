"""Who reaches what, as a graph: accounts with their principals, and an edge for each reach with its conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Standing(Enum):
    """What is known of a reach. TRUSTED: a trust policy says so, and no proof was at hand."""

    INTENDED = "intended"
    UNINTENDED = "not intended"
    BROKEN = "intended, but refused"
    UNDECIDED = "undecided"
    DELEGATED = "if its account allows"
    TRUSTED = "trusted"

    @property
    def failed(self) -> bool:
        """True for what a proof found wrong."""
        return self in {Standing.UNINTENDED, Standing.BROKEN, Standing.UNDECIDED}


@dataclass(frozen=True, slots=True)
class Node:
    """A principal or a role; `count` is above 1 for roles that stand together. `key` is the ARN where there is one."""

    key: str
    name: str
    kind: str
    note: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Account:
    """An account's box; `account_id` is empty for what belongs to no account or to many."""

    account_id: str
    title: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """Who (a key among the callers) reaches which role (a key among the roles) on which conditions, in words."""

    source: str
    target: str
    conditions: tuple[str, ...]
    standing: Standing

    @property
    def label(self) -> tuple[str, ...]:
        """Lines to write at the edge: the conditions, or that there are none."""
        if self.standing in {Standing.BROKEN, Standing.UNDECIDED}:
            return (self.standing.value,)
        if self.standing is Standing.DELEGATED:
            return (*self.conditions, self.standing.value)
        return self.conditions or ("no condition",)


@dataclass(frozen=True, slots=True)
class Graph:
    """Callers by account, roles by account, and the edges between them. An account may stand on both sides."""

    callers: tuple[Account, ...]
    roles: tuple[Account, ...]
    edges: tuple[Edge, ...]

    @property
    def failed(self) -> bool:
        """True when any reach is otherwise than intended."""
        return any(edge.standing.failed for edge in self.edges)


def describe(graph: Graph) -> Iterator[str]:
    """The graph in sentences, what is wrong first: `role backend_role (111111111111) reaches role role1 (222222222222)
    on condition of external id`.
    """
    callers, roles = (
        {node.key: _called(account, node) for account in side for node in account.nodes}
        for side in (graph.callers, graph.roles)
    )
    for edge in sorted(graph.edges, key=lambda edge: not edge.standing.failed):
        yield f"{callers[edge.source]} {_reaches(edge)} {roles[edge.target]}{_how(edge)}"


def _called(account: Account, node: Node) -> str:
    where = f" ({account.title})" if account.title else ""
    return f"{node.name}{where}" if node.count > 1 else f"{node.kind} {node.name}{where}".lstrip()


def _reaches(edge: Edge) -> str:
    verbs = {
        Standing.BROKEN: "should reach, and cannot,",
        Standing.UNDECIDED: "may or may not reach",
        Standing.UNINTENDED: "reaches, though nobody meant it,",
        Standing.DELEGATED: "reaches, if its account allows it,",
    }
    return verbs.get(edge.standing, "reaches")


def _how(edge: Edge) -> str:
    if edge.standing in {Standing.BROKEN, Standing.UNDECIDED}:
        return ""
    if edge.standing is Standing.UNINTENDED:
        return f" ({', '.join(edge.label)})"
    return f" on condition of {' and '.join(edge.conditions)}" if edge.conditions else " without a condition"
