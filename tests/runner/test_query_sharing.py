"""A service's model is in memory once, whoever reads it."""

from __future__ import annotations

from rolecall_runner.clients import Clients
from rolecall_runner.tasks.query.models import service_model
from rolecall_runner.tasks.query.sharing import SharingClients


def test_a_question_and_its_client_read_one_model() -> None:
    """The client of a service is made of the model that checked the question; other clients bring their own."""
    checked = service_model("iam")
    sharing, others = SharingClients(), Clients()

    shared = sharing.client("iam", "us-east-1").meta.service_model
    own = others.client("iam", "us-east-1").meta.service_model
    sharing.close()
    others.close()

    assert (True, False) == (shared.metadata is checked.metadata, own.metadata is checked.metadata)
    assert checked.operation_names == shared.operation_names
