"""Memory: a service model is loaded once, and a process imports only what it needs."""

from __future__ import annotations

import subprocess
import sys

from rolecall_runner.aws.clients import Clients
from rolecall_runner.query.operations import service_model


def test_query_and_client_share_one_model() -> None:
    """The client is created from the model that validated the query."""
    checked = service_model("iam")
    clients = Clients()

    shared = clients.client("iam", "us-east-1").meta.service_model
    clients.close()

    assert shared.metadata is checked.metadata
    assert checked.operation_names == shared.operation_names


def test_worker_process_does_not_import_manifest_libraries() -> None:
    """Unpickling a task and its context imports neither pydantic, YAML nor Jinja2."""
    script = (
        "import pickle, sys\n"
        "from functools import partial\n"
        "import rolecall_runner.execution.processes\n"
        "from rolecall_runner.execution.interface import ProcessLocal\n"
        "from rolecall_runner.query.spec import QuerySpec\n"
        "from rolecall_runner.aws.caller import AwsConfig\n"
        "from rolecall_runner.query.execute import QueryTask\n"
        "connections = ProcessLocal(partial(AwsConfig().connect, '0a1b'))\n"
        "pickle.loads(pickle.dumps(QueryTask(QuerySpec('ec2', 'DescribeVpcs'), connections)))\n"
        "print(sorted({'pydantic', 'yaml', 'jinja2', 'ruamel', 'rich', 'hcl2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
