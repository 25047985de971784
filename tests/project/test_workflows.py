"""Workflows, dependency updates and the container: pinned, least privilege, consistent with the project."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_lines import complaint, of_script
from docs_page import Saved, read_page
from shared_cache import SHARED_CACHE

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def judged(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Output of a linter of the environment, run offline."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    """zizmor with its strictest persona."""
    return judged(
        "zizmor", "--offline", "--persona=auditor", "--strict-collection", "--no-progress", "--color=never", str(path)
    )


def uses(path: Path) -> list[str]:
    """The `uses` values of a workflow's steps and jobs, each with its comment."""
    return re.findall(r"uses: (\S+(?: # \S+)?)", path.read_text("utf-8"))


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))["jobs"]
    return found


def test_zizmor_reports_nothing() -> None:
    """Workflows and dependency updates pass the strictest persona: pins, permissions, credentials, injection, cooldown."""
    done = zizmor(GITHUB)

    assert (0, "No findings to report. Good job!") == (done.returncode, done.stdout.splitlines()[0]), done.stdout


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("persist-credentials: false", "fetch-depth: 1", "artipacked"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
    ],
)
def test_zizmor_reports_an_insecure_workflow(tmp_path: Path, before: str, after: str, rule: str) -> None:
    """Without this, an empty report would prove nothing."""
    text = (GITHUB / "workflows" / "test.yml").read_text("utf-8")
    (tmp_path / "test.yml").write_text(text.replace(before, after, 1), encoding="utf-8")

    done = zizmor(tmp_path / "test.yml")

    assert 0 != done.returncode
    assert f"[{rule}]" in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_with_a_version_comment(path: Path) -> None:
    """A full commit hash, never a movable tag, with the version for readers and Dependabot."""
    found = [used for used in uses(path) if not used.startswith("$/")]

    assert found
    assert [] == [used for used in found if not PINNED.fullmatch(used)]


def test_action_has_the_same_version_in_all_workflows() -> None:
    pins = {used for path in WORKFLOWS for used in uses(path) if not used.startswith("$/")}

    assert len(pins) == len({pin.split("@")[0] for pin in pins})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_has_a_timeout(path: Path) -> None:
    """A job that hangs is stopped long before GitHub's limit of six hours."""
    assert [] == [
        name for name, job in jobs(path).items() if "uses" not in job and not 0 < job.get("timeout-minutes", 0) <= 90
    ]


def test_every_supported_python_is_tested() -> None:
    """The Python versions of the classifiers on Linux and macOS: in the matrix, or in the job that runs everything."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {line.rsplit(" ", 1)[1] for line in project["classifiers"] if re.search(r":: 3\.\d+$", line)}
    matrix = jobs(GITHUB / "workflows" / "test.yml")["platforms"]["strategy"]["matrix"]

    assert named == set(matrix["python"])
    assert ["macos", "ubuntu"] == sorted(system.split("-")[0] for system in matrix["system"])
    assert [{"system": matrix["system"][0], "python": "3.11"}] == matrix["exclude"]


def test_reusable_workflow_has_typed_inputs_and_least_permissions() -> None:
    """Only by call; inputs reach the shell as variables; the commands exist."""
    path = GITHUB / "workflows" / "verify.yml"
    found = yaml.safe_load(path.read_text("utf-8"))
    (job,) = found["jobs"].values()
    inputs = found[True]["workflow_call"]["inputs"]  # YAML 1.1 reads the key `on` as true
    scripts = [step["run"] for step in job["steps"] if "run" in step]

    assert ({}, {"contents": "read", "id-token": "write"}) == (found["permissions"], job["permissions"])
    assert ["workflow_call"] == list(found[True])
    assert {"role-arn", "version"} == {name for name, given in inputs.items() if given.get("required")}
    assert all("default" in given or given.get("required") for given in inputs.values())
    assert [] == [script for script in scripts if "${{" in script]
    used = set(re.findall(r"inputs\.([a-z-]+)", path.read_text("utf-8")))
    assert used == set(inputs)
    commands = [words for script in scripts for words in of_script(script) if words[0] in {"gen", "runner"}]
    assert commands
    assert [] == [problem for words in commands if (problem := complaint(words))]
    page = (ROOT / "docs" / "how-to" / "ci.md").read_text("utf-8")
    assert [] == [name for name in inputs if f"| `{name}` |" not in page]


HOOKS = ROOT / ".pre-commit-hooks.yaml"


def test_pre_commit_hooks_are_valid_and_those_of_the_page(tmp_path: Path) -> None:
    """pre-commit accepts the manifest of hooks; the page shows the same hooks for an installed rolecall."""
    assert 0 == judged("pre-commit", "validate-manifest", str(HOOKS)).returncode
    (tmp_path / "wrong.yaml").write_text("- id: x\n", "utf-8")
    assert 0 != judged("pre-commit", "validate-manifest", str(tmp_path / "wrong.yaml")).returncode

    declared = yaml.safe_load(HOOKS.read_text("utf-8"))
    assert [] == [problem for each in declared if (problem := complaint(shlex.split(each["entry"])))]
    steps = read_page((ROOT / "docs" / "how-to" / "pre-commit.md").read_text("utf-8")).steps
    (shown,) = (step for step in steps if isinstance(step, Saved))
    same = ("id", "name", "entry", "files", "pass_filenames")
    (local,) = yaml.safe_load(shown.text)["repos"]
    assert [{key: each[key] for key in same} for each in local["hooks"]] == [
        {key: each[key] for key in same} for each in declared
    ]


def test_pre_commit_runs_the_hooks_of_a_repository(tmp_path: Path) -> None:
    """As pre-commit does for `repo: https://...`, here with the rolecall of this environment instead of an installation."""
    hooks, work = tmp_path / "hooks", tmp_path / "work"
    environment = {
        **os.environ, **SHARED_CACHE, "PRE_COMMIT_HOME": str(tmp_path / "home"), "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{f"GIT_{who}_{what}": "reader@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip

    def run(folder: Path, *command: str) -> int:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
        return done.returncode

    hooks.mkdir()
    (hooks / HOOKS.name).write_text(HOOKS.read_text("utf-8").replace("language: python", "language: system"), "utf-8")
    work.mkdir()
    (work / "accounts.yaml").write_text((ROOT / "examples" / "accounts.yaml").read_text("utf-8"), "utf-8")
    assert 0 == run(work, "gen", "terraform", "--quiet")
    for folder in (hooks, work):
        assert [0, 0, 0] == [
            run(folder, "git", *words) for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "test: start"])
        ]
    tried = ("pre-commit", "try-repo", str(hooks))
    assert 0 == run(work, *tried, "--all-files")
    (work / "accounts.yaml").write_text((work / "accounts.yaml").read_text("utf-8").replace("[s3-read,", "["), "utf-8")
    assert 1 == run(work, *tried, "rolecall-diff", "--all-files")
    assert 1 == run(work, *tried, "rolecall-check", "--all-files")


def test_release_publishes_only_tested_and_attested_files() -> None:
    """Each job depends on the one before; only the PyPI job may publish to PyPI."""
    release = jobs(GITHUB / "workflows" / "release.yml")
    order = {name: job.get("needs") for name, job in release.items()}
    publishing = [name for name, job in release.items() if any("pypi-publish" in str(step) for step in job.get("steps", []))]

    assert order == {
        "test": None,
        "build": "test",
        "attest": "build",
        "pypi": "attest",
        "container": "pypi",
        "announce": ["pypi", "container"],
    }
    assert ["pypi"] == publishing
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text("utf-8")


def test_hadolint_reports_nothing_for_the_containerfile() -> None:
    """No finding of any severity."""
    done = judged("hadolint", "--no-color", str(ROOT / "Containerfile"))

    assert (0, "") == (done.returncode, done.stdout)


def test_hadolint_reports_an_unpinned_base_image(tmp_path: Path) -> None:
    """Without this, an empty report would prove nothing."""
    (tmp_path / "Containerfile").write_text("FROM docker.io/library/python\n", encoding="utf-8")

    assert "DL3006" in judged("hadolint", "--no-color", str(tmp_path / "Containerfile")).stdout


def test_container_is_pinned_and_does_not_run_as_root() -> None:
    """Both stages use one base image by digest; only the wheel and the lock are copied."""
    text = (ROOT / "Containerfile").read_text("utf-8")
    bases = re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)
    allowed = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]

    assert 1 == len(set(bases))
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim@sha256:[0-9a-f]{64}", bases[0])
    assert re.search(r"^USER (?!0|root)\d+:\d+$", text, flags=re.MULTILINE)
    assert ["*", "!dist/rolecall-*.whl", "!requirements-runtime.lock"] == allowed
