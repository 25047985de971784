"""Guard rails of AWS Organizations around a customer's account: what they stop, and the exemptions a hand-over needs.

found = find_customer(Path("accounts.yaml"), Path("output"), "account1")
rails = read_files(PolicyFiles(scps=("deny-regions.json",)), found.customer.account_id, sys.stdin.read)
review = review_guardrails(found, rails, ReviewSettings())
"""

from rolecall_generator.guardrails.answers import (
    GuardrailAnswer,
    GuardrailExemption,
    GuardrailQuestion,
    GuardrailReview,
    GuardrailStop,
    StoppedRequests,
)
from rolecall_generator.guardrails.policies import (
    GuardrailFinding,
    GuardrailKind,
    GuardrailLevel,
    GuardrailPolicy,
    Guardrails,
    PolicyProblemsError,
)
from rolecall_generator.guardrails.report import answer_lines, customer_text, exemption_diff, review_to_json
from rolecall_generator.guardrails.review import CustomerModule, ReviewSettings, find_customer, review_guardrails
from rolecall_generator.guardrails.sources import PolicyFiles, make_organizations_client, read_files, read_guardrails

__all__ = [
    "CustomerModule",
    "GuardrailAnswer",
    "GuardrailExemption",
    "GuardrailFinding",
    "GuardrailKind",
    "GuardrailLevel",
    "GuardrailPolicy",
    "GuardrailQuestion",
    "GuardrailReview",
    "GuardrailStop",
    "Guardrails",
    "PolicyFiles",
    "PolicyProblemsError",
    "ReviewSettings",
    "StoppedRequests",
    "answer_lines",
    "customer_text",
    "exemption_diff",
    "find_customer",
    "make_organizations_client",
    "read_files",
    "read_guardrails",
    "review_guardrails",
    "review_to_json",
]
