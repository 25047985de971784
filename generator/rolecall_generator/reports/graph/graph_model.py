"""The graph of who can assume which role, made from an access and its proof, in sentences and as Mermaid text.

Similar roles are drawn as one node. GitHub, GitLab and wikis render Mermaid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from rolecall_generator.iam import Access, Statement
from rolecall_generator.iam.evaluation import identity_of
from rolecall_generator.proof import (
    Case,
    Cell,
    CellState,
    Proof,
    case_description,
    condition_names,
    key_name,
    principal_kind_name,
)
from rolecall_generator.text import sanitize_lines


class EdgeState(Enum):
    """The result for an edge. TRUSTED: a trust policy allows it, and there is no proof."""

    INTENDED = "intended"
    UNINTENDED = "not intended"
    BROKEN = "intended, but refused"
    UNDECIDED = "undecided"
    DELEGATED = "if its account allows"
    TRUSTED = "trusted"

    @property
    def failed(self) -> bool:
        """Whether the proof failed or was undecided."""
        return self in {EdgeState.UNINTENDED, EdgeState.BROKEN, EdgeState.UNDECIDED}


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A principal, a role, or `count` roles. `key` is the ARN, if there is one."""

    key: str
    name: str
    kind: str
    note: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class GraphAccount:
    """An account's box; `account_id` is empty for nodes of no account or of several."""

    account_id: str
    title: str
    nodes: tuple[GraphNode, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge from a caller's key to a role's key, with the conditions as short phrases."""

    source: str
    target: str
    conditions: tuple[str, ...]
    state: EdgeState

    @property
    def label(self) -> tuple[str, ...]:
        """Lines of the label: the conditions, or that there are none."""
        if self.state in {EdgeState.BROKEN, EdgeState.UNDECIDED}:
            return (self.state.value,)
        if self.state is EdgeState.DELEGATED:
            return (*self.conditions, self.state.value)
        return self.conditions or ("no condition",)


@dataclass(frozen=True, slots=True)
class Graph:
    """Callers by account, roles by account, and the edges between them. An account can be on both sides."""

    callers: tuple[GraphAccount, ...]
    roles: tuple[GraphAccount, ...]
    edges: tuple[Edge, ...]

    @property
    def failed(self) -> bool:
        """Whether any edge is not as intended."""
        return any(edge.state.failed for edge in self.edges)


def describe(graph: Graph) -> Iterator[str]:
    """The graph in sentences, failed edges first: `role backend_role (111111111111) can assume role role1
    (222222222222) (condition: external ID)`.
    """
    callers, roles = (
        {node.key: _node_label(account, node) for account in side for node in account.nodes}
        for side in (graph.callers, graph.roles)
    )
    for edge in sorted(graph.edges, key=lambda edge: not edge.state.failed):
        yield f"{callers[edge.source]} {_verb(edge)} {roles[edge.target]}{_qualifier(edge)}"


def _node_label(account: GraphAccount, node: GraphNode) -> str:
    where = f" ({account.title})" if account.title else ""
    return f"{node.name}{where}" if node.count > 1 else f"{node.kind} {node.name}{where}".lstrip()


def _verb(edge: Edge) -> str:
    verbs = {EdgeState.BROKEN: "cannot assume", EdgeState.UNDECIDED: "may be able to assume"}
    return verbs.get(edge.state, "can assume")


def _qualifier(edge: Edge) -> str:
    match edge.state:
        case EdgeState.BROKEN:
            return ", although this is intended"
        case EdgeState.UNDECIDED:
            return " (undecided)"
        case EdgeState.UNINTENDED:
            return f", although this is not intended ({', '.join(edge.label)})"
        case _:
            prefix = ", if its account allows it" if edge.state is EdgeState.DELEGATED else ""
            noun = "condition" if len(edge.conditions) == 1 else "conditions"
            return f"{prefix} ({noun}: {', '.join(edge.conditions)})" if edge.conditions else f"{prefix} (no condition)"


_SHORT = {Case.OTHER_EXTERNAL_ID: "with another's external ID"}
"""Shorter labels for edges than in sentences."""


@dataclass(slots=True)
class EdgeCollector:
    """Edges between ARNs, one per caller, role and state, and the subject of each role."""

    edges: dict[tuple[str, str, EdgeState], Edge] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)

    def add(self, edge: Edge) -> None:
        """Add an edge; an edge of the same caller, role and state gets the conditions of both."""
        key = edge.source, edge.target, edge.state
        known = self.edges.get(key)
        if known is not None and known.conditions != edge.conditions:
            edge = Edge(*key[:2], tuple(dict.fromkeys((*known.conditions, *edge.conditions))), edge.state)
        self.edges[key] = edge


def from_proof(proof: Proof) -> EdgeCollector:
    """Edges for intended access and for access that was found; intended refusals have no edge."""
    found = EdgeCollector()
    for row in proof.rows:
        found.subjects.setdefault(row.role_arn, row.subject)
        for cell in row.cells:
            state = _edge_state(cell)
            if state is not None:
                found.add(Edge(cell.caller or ANYONE, row.role_arn, _conditions(cell, state), state))
    return found


ANYONE = "*"
"""The source of an edge whose caller is not known."""

_STATES = {CellState.DELEGATED: EdgeState.DELEGATED, CellState.UNDECIDED: EdgeState.UNDECIDED}


def _edge_state(cell: Cell) -> EdgeState | None:
    if cell.ok:
        return EdgeState.INTENDED if cell.expected else None
    return _STATES.get(cell.state) or (EdgeState.BROKEN if cell.expected else EdgeState.UNINTENDED)


def _conditions(cell: Cell, state: EdgeState) -> tuple[str, ...]:
    if state is EdgeState.UNINTENDED and (description := _SHORT.get(cell.case) or case_description(cell.case)):
        return (description,)
    if cell.decision is not None and cell.decision.statement is not None:
        return condition_names(cell.decision.statement)
    return tuple(map(key_name, cell.requires))


def from_access(access: Access) -> EdgeCollector:
    """Edges for all principals in trust policies, with conditions; denials and the callers' policies are ignored."""
    found = EdgeCollector()
    for arn, role in access.roles.items():
        for statement in role.trust.statements if role.trust is not None else ():
            if statement.effect == "Allow":
                for caller in _callers(statement, arn):
                    found.add(Edge(caller, arn, condition_names(statement), EdgeState.TRUSTED))
    return found


def _callers(statement: Statement, role_arn: str) -> Iterator[str]:
    """Callers of a statement: by condition on `aws:PrincipalArn` if it has one, else by its principals."""
    named = [value for item in statement.conditions if item.key.lower() == "aws:principalarn" for value in item.values]
    if named:
        yield from named
        return
    partition = role_arn.split(":")[1]
    for principal in statement.principals:
        text = principal.identifier
        yield f"arn:{partition}:iam::{text}:root" if text.isdigit() else text
    if statement.not_principals:
        yield "*"


SEPARATE_ROLES = 40
"""Up to this number, each role is drawn; beyond it, roles with the same edges are drawn as one node."""

SEPARATE_FAILING_ROLES = 200
"""Maximum number of failing roles that are drawn separately."""


def access_graph(access: Access, proof: Proof | None = None, names: Mapping[str, str] | None = None) -> Graph:
    """Make the graph of who can assume which role.

    With a proof, the edges are intended access, refused intended access, and unintended access. Without one, they are
    the principals in the trust policies of `access`. `names` are account names by ID.
    """
    found = from_access(access) if proof is None else from_proof(proof)
    by_role: dict[str, list[Edge]] = {}
    for edge in found.edges.values():
        by_role.setdefault(edge.target, []).append(edge)
    single, groups = _grouped(by_role)
    edges = [edge for role in single for edge in by_role[role]]
    nodes = {role: GraphNode(role, *_named(role), found.subjects.get(role, "")) for role in single}
    roles = _accounts(nodes.values(), names or {})
    for number, members in enumerate(groups, 1):
        node, group_edges = _group(f"group {number}", members, by_role)
        accounts = len({identity_of(role).account_id for role in members})
        roles += (GraphAccount("", "one account" if accounts == 1 else f"{accounts:,} accounts", (node,)),)
        edges += group_edges
    callers = (GraphNode(arn, *_named(arn)) for arn in dict.fromkeys(edge.source for edge in edges))
    return Graph(_accounts(callers, names or {}), roles, tuple(edges))


def _grouped(by_role: Mapping[str, list[Edge]]) -> tuple[list[str], list[list[str]]]:
    """Roles to draw separately, and groups of roles with the same edges."""
    if len(by_role) <= SEPARATE_ROLES:
        return list(by_role), []
    failing = [role for role, edges in by_role.items() if any(edge.state.failed for edge in edges)]
    single = dict.fromkeys(failing[:SEPARATE_FAILING_ROLES])
    alike: dict[frozenset[tuple[object, ...]], list[str]] = {}
    for role, edges in by_role.items():
        if role not in single:
            shape = frozenset((edge.source, edge.conditions, edge.state) for edge in edges)
            alike.setdefault(shape, []).append(role)
    groups = [roles for roles in alike.values() if len(roles) > 1]
    single.update(dict.fromkeys(roles[0] for roles in alike.values() if len(roles) == 1))
    return list(single), groups


def _group(key: str, roles: list[str], by_role: Mapping[str, list[Edge]]) -> tuple[GraphNode, list[Edge]]:
    edges = [Edge(edge.source, key, edge.conditions, edge.state) for edge in by_role[roles[0]]]
    customers = any("external ID" in edge.conditions for edge in edges)
    failing = "failing " if any(edge.state.failed for edge in edges) else ""
    name = f"{len(roles):,} {failing}{'customer ' if customers else ''}roles"
    return GraphNode(key, name, "", "" if failing else "each as intended", len(roles)), edges


def _named(arn: str) -> tuple[str, str]:
    """A principal's name and kind for display."""
    identity, kind = identity_of(arn), principal_kind_name(arn)
    if arn == "*":
        return "any principal", ""
    return ("the whole account", "") if kind == "account" else (identity.name, kind)


def _accounts(nodes: Iterable[GraphNode], names: Mapping[str, str]) -> tuple[GraphAccount, ...]:
    """Boxes with their nodes, in order of first occurrence, titled with the account's name, if it is known, and ID."""
    boxes: dict[str, list[GraphNode]] = {}
    for node in nodes:
        boxes.setdefault(identity_of(node.key).account_id, []).append(node)
    titles = {account: f"{names[account]} · {account}" if names.get(account) else account for account in boxes}
    return tuple(GraphAccount(account, titles[account], tuple(members)) for account, members in boxes.items())


_ARROWS = {EdgeState.UNINTENDED: "==>", EdgeState.BROKEN: "-.-x", EdgeState.UNDECIDED: "-.->", EdgeState.DELEGATED: "-.->"}
_EDGE_STYLES = {
    EdgeState.UNINTENDED: "stroke:#d1242f,stroke-width:3px,color:#d1242f",
    EdgeState.BROKEN: "stroke:#bf6a00,color:#bf6a00",
    EdgeState.UNDECIDED: "stroke:#bf6a00,color:#bf6a00",
}
_SAFE = frozenset(" .,:/_-@=")


def to_mermaid(graph: Graph) -> str:
    """A flowchart from left to right, with all names escaped. Ends with a newline."""
    ids: dict[str, str] = {}
    lines = ["flowchart LR"]
    for number, (title, nodes) in enumerate(_merged_accounts(graph), 1):
        for key in nodes:
            ids[key] = f"n{len(ids) + 1}"
        inner = [f'{ids[key]}["{_mermaid_text(f"{node.kind} {node.name}".strip())}"]' for key, node in nodes.items()]
        if title:
            lines += [f'  subgraph a{number}["{_mermaid_text(title)}"]', *(f"    {line}" for line in inner), "  end"]
        else:
            lines += [f"  {line}" for line in inner]
    lines += (f"  {line}" for line in _mermaid_edges(graph, ids))
    return "\n".join(lines) + "\n"


def _merged_accounts(graph: Graph) -> list[tuple[str, dict[str, GraphNode]]]:
    """Accounts of both sides merged, because a node occurs only once in Mermaid; groups of roles have their own boxes."""
    boxes: dict[tuple[str, str], dict[str, GraphNode]] = {}
    known: set[str] = set()
    for account in (*graph.roles, *graph.callers):
        box = boxes.setdefault((account.account_id or account.nodes[0].key, account.title), {})
        for node in account.nodes:
            if node.key not in known:
                known.add(node.key)
                box[node.key] = node
    return [(title, nodes) for (_, title), nodes in boxes.items() if nodes]


def _mermaid_edges(graph: Graph, ids: dict[str, str]) -> Iterator[str]:
    styled: dict[EdgeState, list[str]] = {}
    for number, edge in enumerate(graph.edges):
        arrow = _ARROWS.get(edge.state, "-->")
        yield f'{ids[edge.source]} {arrow}|"{_mermaid_text(", ".join(edge.label))}"| {ids[edge.target]}'
        styled.setdefault(edge.state, []).append(str(number))
    for state, numbers in styled.items():
        if state in _EDGE_STYLES:
            yield f"linkStyle {','.join(numbers)} {_EDGE_STYLES[state]}"


def _mermaid_text(text: str) -> str:
    """Escape a label: all characters except letters, digits and safe ones become Mermaid entity codes (#35; is #).

    Mermaid documentation, "Entity codes to escape characters", November 2026: "numbers given are base 10".
    """
    return "".join(char if char.isalnum() or char in _SAFE else f"#{ord(char)};" for char in sanitize_lines(text)) or " "
