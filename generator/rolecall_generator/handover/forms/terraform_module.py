"""The module as gen terraform writes it, with tests that `terraform test` runs offline."""

from __future__ import annotations

from rolecall_generator.handover.forms.terraform_tests import module_checks, overrides
from rolecall_generator.handover.layout import TERRAFORM
from rolecall_generator.handover.model import Files, Handover
from rolecall_generator.hcl import comment
from rolecall_generator.render import module_view, render_text

TESTS = f"{TERRAFORM}/tests/access.tftest.hcl"
# The second is for a module of the first: a manifest may name any twelve digits.
_OTHER_ACCOUNTS = ("000000000000", "999999999999")


def terraform_module_form(handover: Handover) -> Files:
    """The module's own files byte for byte, and the tests below `tests/`, which plan and apply do not read."""
    module = handover.module
    view = module_view(module, handover.source)
    text = render_text(
        "access.tftest.hcl",
        {
            "source": comment(handover.source),
            "overrides": overrides(view, module.account.account_id),
            "checks": module_checks(view),
            "dependents": view["dependents"],
            "other_account": next(each for each in _OTHER_ACCOUNTS if each != module.account.account_id),
        },
    )
    return {
        **{f"{TERRAFORM}/{name}": content.encode() for name, content in handover.terraform.items()},
        TESTS: text.encode(),
    }
