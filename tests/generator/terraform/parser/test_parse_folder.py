"""Every file of a module folder is parsed, or is a finding with a severity according to its possible effect."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from bundle_worlds import bundles
from rolecall_generator.errors import ModuleError
from rolecall_generator.findings import FindingKind, Severity
from rolecall_generator.terraform.parser.files import MAXIMUM_FILES
from rolecall_generator.terraform.parser.parse import ParsedModule, parse_module
from rolecall_generator.terraform.parser.schema import EXTRA_FILE, UNREADABLE

ACCOUNT = "222222222222"
MAIN = 'variable "name" {\n  default = "from-default"\n}\nresource "aws_iam_group" "a" {\n  name = var.name\n}\n'
GROUP = 'resource "aws_iam_group" "b" {\n  name = "b"\n}\n'

# What Terraform 1.11.4 does with `name = "..."` in a file of this name.
LOADED_VALUES = (
    "terraform.tfvars", "x.auto.tfvars", ".x.auto.tfvars", ".auto.tfvars", ".#x.auto.tfvars", "~x.auto.tfvars",
    " x.auto.tfvars",
)  # fmt: skip
NOT_LOADED_VALUES = (
    "prod.tfvars", ".terraform.tfvars", "Terraform.tfvars", "X.AUTO.TFVARS", "prod.tfvars.json", "TERRAFORM.TFVARS.JSON",
)  # fmt: skip
# What Terraform 1.11.4 does with a resource in a file of this name.
LOADED_CONFIGURATION = ("x.tf", "#x.tf", "~x.tf", "x.auto.tf", " .tf")
NOT_LOADED_CONFIGURATION = (
    ".x.tf", "x.tf~", "#x.tf#", ".tf", "x.TF", "tf", ".#x.tf", "x.tf.bak", ".x.tf.json", "x.auto.tfvars~",
)  # fmt: skip

ERRORS = (
    "terraform.tfstate", "terraform.tfstate.backup", "errored.tfstate", ".terraform.tfstate.lock.info", "x.tfplan", "tfplan",
    "terragrunt.hcl", "x.tfquery.hcl", "x.tfmock.hcl", ".env", ".envrc", "mise.toml", "x.tftest.json", "tests/x.auto.tfvars",
    "tests/terraform.tfvars", "tests/prod.tfvars", "evil/main.tf", "evil/deep/er/main.tf", "evil/x.tfvars",
    "x/terraform.tfstate",
    "tests/mocks/x.tfmock.hcl", ".terraform/environment", ".terraform/modules/modules.json",
    ".terraform/providers/registry.terraform.io/hashicorp/aws/6.0.0/linux_amd64/terraform-provider-aws",
    "terraform.tfstate.d/prod/terraform.tfstate", ".TERRAFORM/x", "x.auto.tfvars/y.tf", "x.tf/main.tf", "Tests/x.tftest.hcl",
)  # fmt: skip
WARNINGS = ("x.py", "main.tf.orig", ".main.tf.swp", "module.zip", ".terraform-version", "docs/picture.png", "x.sh")
NOTES_ONLY = ("LICENSE", "LICENSE.md", "CHANGELOG.md", "notes.txt", ".gitignore", ".gitkeep", "SHA256SUMS", ".git/config")


def module(folder: Path, **files: str) -> Path:
    """A folder with a small module and additional files by path."""
    for path, content in {"main.tf": MAIN, **files}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return folder


def severities(parsed: ParsedModule, kind: FindingKind = EXTRA_FILE) -> list[Severity]:
    return [finding.severity for finding in parsed.findings if finding.rule == kind.id]


def names(parsed: ParsedModule) -> list[str]:
    return sorted(arn.rpartition("/")[2] for arn in parsed.access.groups)


@pytest.mark.parametrize("name", LOADED_VALUES)
def test_tfvars_files_loaded_by_terraform_are_parsed(name: str, tmp_path: Path) -> None:
    """Files that match Terraform's names are parsed, whatever else their names look like, and are findings."""
    parsed = parse_module(module(tmp_path, **{name: 'name = "changed"\n'}), account_id=ACCOUNT)

    assert ["changed"] == names(parsed)
    assert "RC906" in {finding.rule for finding in parsed.findings}


@pytest.mark.parametrize(
    ("name", "content", "severity"),
    [
        *((name, 'name = "changed"\n', Severity.ERROR) for name in NOT_LOADED_VALUES),
        *((name, GROUP, Severity.WARNING) for name in NOT_LOADED_CONFIGURATION),
    ],
)
def test_file_not_loaded_by_terraform_is_finding(name: str, content: str, severity: Severity, tmp_path: Path) -> None:
    """It is not parsed. Values are an error: they could be used with -var-file, or on another file system."""
    parsed = parse_module(module(tmp_path, **{name: content}), account_id=ACCOUNT)

    assert ["from-default"] == names(parsed)
    assert [severity] == severities(parsed)


@pytest.mark.parametrize("name", LOADED_CONFIGURATION)
def test_configuration_loaded_by_terraform_is_parsed(name: str, tmp_path: Path) -> None:
    """Only hidden files and backup files are skipped."""
    parsed = parse_module(module(tmp_path, **{name: GROUP}), account_id=ACCOUNT)

    assert ["b", "from-default"] == names(parsed)


@pytest.mark.parametrize(
    ("severity", "name"),
    [
        *((Severity.ERROR, name) for name in ERRORS),
        *((Severity.WARNING, name) for name in WARNINGS),
        *((Severity.NOTE, name) for name in NOTES_ONLY),
    ],
)
def test_any_other_file_is_finding(severity: Severity, name: str, tmp_path: Path) -> None:
    """A file that can affect plan, apply or test is an error, a text file is a note, and any other file is a warning."""
    parsed = parse_module(module(tmp_path, **{name: "x = 1\n"}), account_id=ACCOUNT)

    assert [severity] == severities(parsed)
    assert ["from-default"] == names(parsed)


def test_later_tfvars_files_take_precedence(tmp_path: Path) -> None:
    """terraform.tfvars, terraform.tfvars.json, then *.auto.tfvars and *.auto.tfvars.json by name."""
    folder = module(tmp_path, **{"terraform.tfvars": 'name = "a"\n', "terraform.tfvars.json": '{"name": "b"}'})
    assert ["b"] == names(parse_module(folder, account_id=ACCOUNT))

    module(tmp_path, **{"b.auto.tfvars.json": '{"name": "d"}', "A.auto.tfvars": 'name = "c"\n'})
    assert ["d"] == names(parse_module(folder, account_id=ACCOUNT))

    module(tmp_path, **{"terraform.tfvars.auto.tfvars": 'name = "e"\n'})
    assert ["e"] == names(parse_module(folder, account_id=ACCOUNT))


def test_block_in_tfvars_file_is_error(tmp_path: Path) -> None:
    parsed = parse_module(module(tmp_path, **{"terraform.tfvars": "x {\n}\n"}), account_id=ACCOUNT)

    assert [Severity.ERROR] == severities(parsed, UNREADABLE)


@pytest.mark.parametrize("target", ["../outside.tf", "main.tf", "absent.tf", "folder", "/etc/passwd"])
def test_symbolic_link_is_error_and_not_followed(target: str, tmp_path: Path) -> None:
    """Terraform follows symbolic links, so that the content can change at any time."""
    (tmp_path / "outside.tf").write_text('resource "aws_iam_group" "b" {\n  name = "outside"\n}\n')
    folder = module(tmp_path / "module", **{"folder/README.md": "x"})
    (folder / "linked.tf").symlink_to(target)
    parsed = parse_module(folder, account_id=ACCOUNT)

    assert ["from-default"] == names(parsed)
    assert Severity.ERROR in severities(parsed)


def test_special_files_are_errors_and_never_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe and a socket with names of configuration files are reported without being opened."""
    os.mkfifo(module(tmp_path) / "pipe.tf")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.tf")
        parsed = parse_module(tmp_path, account_id=ACCOUNT)

    assert [Severity.ERROR, Severity.ERROR] == severities(parsed)


@pytest.mark.parametrize("below", ["", "sub/", "tests/"])
def test_more_than_1000_files_is_module_error(below: str, tmp_path: Path) -> None:
    """The limit applies to the whole folder, including subfolders."""
    module(tmp_path, **{f"{below}x{number}.md": "" for number in range(MAXIMUM_FILES)})

    with pytest.raises(ModuleError, match="1,000"):
        parse_module(tmp_path, account_id=ACCOUNT)


def test_more_than_8_mib_is_module_error_before_reading(tmp_path: Path) -> None:
    """Sizes are summed first; a sparse file of a terabyte is never read."""
    module(tmp_path)
    with (tmp_path / "x.tf").open("wb") as stream:
        stream.truncate(1 << 40)

    with pytest.raises(ModuleError, match="8 MiB"):
        parse_module(tmp_path, account_id=ACCOUNT)


def test_folder_deeper_than_maximum_path_is_error(tmp_path: Path) -> None:
    """Folders whose path is too long are reported without an exception."""
    module(tmp_path)
    start = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(40):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(start)
    parsed = parse_module(tmp_path, account_id=ACCOUNT)

    assert [Severity.ERROR] == severities(parsed)
    shutil.rmtree(tmp_path / ("d" * 200), ignore_errors=True)


MOCKED = """
mock_provider "aws" {}
run "a" {
  command = apply
  assert {
    condition     = true
    error_message = "x"
  }
}
"""
HOSTILE_TESTS = {
    "no mocked provider": 'run "a" {\n  command = plan\n}\n',
    "another module": MOCKED.replace("command = apply", 'module {\n    source = "./evil"\n  }'),
    "a provider": MOCKED + 'provider "aws" {\n  alias = "real"\n}\n',
    "chosen providers": MOCKED.replace("command = apply", "providers = {\n    aws = aws.real\n  }"),
    "a mock with an alias": MOCKED.replace('"aws" {}', '"aws" {\n  alias = "other"\n}'),
    "a mock of something else": MOCKED.replace('"aws"', '"random"'),
    "a mock from files": MOCKED.replace('"aws" {}', '"aws" {\n  source = "./mocks"\n}'),
    "variables": MOCKED + "variables {\n  x = 1\n}\n",
    "an override of a module": MOCKED + "override_module {\n  target = module.x\n}\n",
    "an argument outside": MOCKED + "x = 1\n",
    "not readable": MOCKED + "run {",
}


@pytest.mark.parametrize("place", ["x.tftest.hcl", "tests/x.tftest.hcl"])
@pytest.mark.parametrize("name", HOSTILE_TESTS)
def test_test_file_with_real_access_is_error(name: str, place: str, tmp_path: Path) -> None:
    """`terraform test` runs modules and providers of the test file."""
    parsed = parse_module(module(tmp_path, **{place: HOSTILE_TESTS[name]}), account_id=ACCOUNT)

    assert Severity.ERROR in [finding.severity for finding in parsed.findings]


def test_test_file_with_mocked_provider_has_no_finding(tmp_path: Path) -> None:
    """As in the generated bundles."""
    parsed = parse_module(module(tmp_path, **{"tests/x.tftest.hcl": MOCKED}), account_id=ACCOUNT)

    assert {"RC907"} == {finding.rule for finding in parsed.findings if finding.severity > Severity.NOTE}


@pytest.mark.parametrize(
    ("source", "severity"), [("registry.terraform.io/hashicorp/aws", Severity.NOTE), ("evil.example/x/aws", Severity.ERROR)]
)
def test_dependency_lock_file_is_parsed(source: str, severity: Severity, tmp_path: Path) -> None:
    """A lock file that selects another provider is an error."""
    text = f'provider "{source}" {{\n  version = "6.0.0"\n  hashes = ["h1:x"]\n}}\n'
    parsed = parse_module(module(tmp_path, **{".terraform.lock.hcl": text}), account_id=ACCOUNT)

    assert [severity] == severities(parsed)


def test_working_files_in_own_output_folder_are_not_errors(tmp_path: Path) -> None:
    """After init and apply: lock file, provider and state. The state is a warning."""
    lock = 'provider "registry.terraform.io/hashicorp/aws" {\n  version = "6.0.0"\n}\n'
    folder = module(
        tmp_path,
        **{
            ".terraform.lock.hcl": lock,
            ".terraform/providers/registry.terraform.io/hashicorp/aws/6.0.0/linux_amd64/terraform-provider-aws": "x",
            "terraform.tfstate": "{}",
        },
    )
    parsed = parse_module(folder, account_id=ACCOUNT, returned=False)

    assert [Severity.NOTE, Severity.WARNING] == sorted(severities(parsed))
    (folder / ".terraform" / "environment").write_text("evil")
    assert Severity.ERROR in severities(parse_module(folder, account_id=ACCOUNT, returned=False))


def test_terraform_modules_of_bundles_have_no_findings(generated: Path) -> None:
    """The Terraform folders of all bundles, with README and tests."""
    bundles(generated / "accounts.yaml")
    folders = [path.parent for path in (generated / "output" / "bundles").rglob("terraform/main.tf")]

    assert folders
    for folder in folders:
        assert (folder / "tests").is_dir()
        assert () == parse_module(folder, account_id=None).findings


def test_unreadable_folder_has_its_own_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a missing permission the hint is not to use another folder."""

    def refuse(folder: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ModuleError) as refused:
        parse_module(tmp_path, account_id=ACCOUNT)

    assert str(tmp_path) == refused.value.where
    assert "add read permission" in str(refused.value.hint)
