"""The certificate of the module's role, and the program that checks it without rolecall.

The program is `templates/certificate/verify_certificate.py`, unchanged. It covers every trust policy that a module has.
"""

from __future__ import annotations

import json
from functools import cache

from rolecall_generator.bundle.forms.interface import BundleForm, Files, Handover
from rolecall_generator.check import intended_trust
from rolecall_generator.iam import Module
from rolecall_generator.package_digest import template_folder
from rolecall_generator.proof.symbolic import make_certificate

FOLDER = "certificate"
CERTIFICATE = f"{FOLDER}/certificate.json"
PROGRAM = f"{FOLDER}/verify_certificate.py"


def certificate_form(handover: Handover) -> Files:
    """`certificate/certificate.json` and `certificate/verify_certificate.py`.

    No files for a module without a role, or if it is not proven that the role can be assumed only as intended: such a bundle
    has findings and should not be handed over.
    """
    certificate = role_certificate(handover.module)
    return {} if certificate is None else {CERTIFICATE: certificate.encode(), PROGRAM: _program()}


def role_certificate(module: Module) -> str | None:
    """The certificate of the role that the module creates; None if there is none."""
    roles = [role for role in module.access.roles.values() if not role.existing]
    if len(roles) != 1:
        return None
    (role,) = roles
    trusts = (trust for trust in intended_trust([module]).trusts if trust.role_arn == role.arn)
    certificate = make_certificate(role, trusts)
    if certificate is None:
        return None
    # Keys are not sorted: the conditions of a statement have the order that they have in main.tf.
    return json.dumps(certificate, separators=(",", ":"), ensure_ascii=False) + "\n"


@cache
def _program() -> bytes:
    return (template_folder() / PROGRAM).read_bytes()


FORM = BundleForm(FOLDER, certificate_form, position=6)
