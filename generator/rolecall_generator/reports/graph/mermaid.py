"""The graph as Mermaid text, which GitHub, GitLab and wikis render."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall_generator.reports.graph.graph_model import EdgeState, Graph, GraphNode
from rolecall_generator.text import sanitize_lines

_ARROWS = {EdgeState.UNINTENDED: "==>", EdgeState.BROKEN: "-.-x", EdgeState.UNDECIDED: "-.->", EdgeState.DELEGATED: "-.->"}
_STYLES = {
    EdgeState.UNINTENDED: "stroke:#d1242f,stroke-width:3px,color:#d1242f",
    EdgeState.BROKEN: "stroke:#bf6a00,color:#bf6a00",
    EdgeState.UNDECIDED: "stroke:#bf6a00,color:#bf6a00",
}
_SAFE = frozenset(" .,:/_-@=")


def to_mermaid(graph: Graph) -> str:
    """A flowchart from left to right, with all names escaped. Ends with a newline."""
    ids: dict[str, str] = {}
    lines = ["flowchart LR"]
    for number, (title, nodes) in enumerate(_accounts(graph), 1):
        for key in nodes:
            ids[key] = f"n{len(ids) + 1}"
        inner = [f'{ids[key]}["{_text(f"{node.kind} {node.name}".strip())}"]' for key, node in nodes.items()]
        if title:
            lines += [f'  subgraph a{number}["{_text(title)}"]', *(f"    {line}" for line in inner), "  end"]
        else:
            lines += [f"  {line}" for line in inner]
    lines += (f"  {line}" for line in _edges(graph, ids))
    return "\n".join(lines) + "\n"


def _accounts(graph: Graph) -> list[tuple[str, dict[str, GraphNode]]]:
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


def _edges(graph: Graph, ids: dict[str, str]) -> Iterator[str]:
    styled: dict[EdgeState, list[str]] = {}
    for number, edge in enumerate(graph.edges):
        arrow = _ARROWS.get(edge.state, "-->")
        yield f'{ids[edge.source]} {arrow}|"{_text(", ".join(edge.label))}"| {ids[edge.target]}'
        styled.setdefault(edge.state, []).append(str(number))
    for state, numbers in styled.items():
        if state in _STYLES:
            yield f"linkStyle {','.join(numbers)} {_STYLES[state]}"


def _text(text: str) -> str:
    """Escape a label: all characters except letters, digits and safe ones become Mermaid entity codes (#35; is #).

    Mermaid documentation, "Entity codes to escape characters", November 2026: "numbers given are base 10".
    """
    return "".join(char if char.isalnum() or char in _SAFE else f"#{ord(char)};" for char in sanitize_lines(text)) or " "
