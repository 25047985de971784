"""The provider search finds every provider installed for this platform, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import terraform_providers
from terraform_providers import Provider, executables, plugin_folders, providers


@pytest.fixture(autouse=True)
def _on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terraform_providers, "_platform", lambda: "linux_amd64")


def install(folder: Path, name: str, mode: int = 0o755) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("")
    (folder / name).chmod(mode)


@pytest.mark.parametrize(
    "layout",
    [
        "",
        "linux_amd64",
        "plugins/linux_amd64",
        "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64",
        "plugins/registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64",
        "a/plugins/registry.opentofu.org/hashicorp/aws/5.100.0/linux_amd64",
    ],
)
def test_provider_is_found_in_every_layout(layout: str, tmp_path: Path) -> None:
    """The registry layout, the old flat layout, and unpacked by hand."""
    install(tmp_path / layout, "terraform-provider-aws_v5.100.0_x5")

    assert [(5, 100, 0)] == [provider.version for provider in executables(tmp_path)]


@pytest.mark.parametrize(
    ("layout", "name", "mode"),
    [
        ("", "terraform-provider-aws_v5.100.0_x5", 0o644),
        ("", "terraform-provider-aws_v5.100.0.zip", 0o755),
        ("", "terraform-provider-awscc_v1.0.0_x5", 0o755),
        ("registry.terraform.io/hashicorp/aws/5.100.0/darwin_arm64", "terraform-provider-aws_v5.100.0_x5", 0o755),
        ("registry.terraform.io/somebody/aws/5.100.0/linux_amd64", "terraform-provider-aws_v5.100.0_x5", 0o755),
        ("1/2/3/4/5", "terraform-provider-aws_v5.100.0_x5", 0o755),
    ],
)
def test_other_files_are_ignored(layout: str, name: str, mode: int, tmp_path: Path) -> None:
    """Not executable, an archive, another provider, platform or namespace, too deep."""
    install(tmp_path / layout, name, mode)

    assert [] == list(executables(tmp_path))


def test_unsupported_versions_are_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oldest first, each version once, none below 3.39 and none from 7.0."""
    for name in ("2.70.0_x4", "3.39.0_x5", "5.9.0_x5", "5.100.0_x5", "7.0.0_x5"):
        install(tmp_path / "one", f"terraform-provider-aws_v{name}")
    install(tmp_path / "two", "terraform-provider-aws_v5.100.0_x5")
    monkeypatch.setattr(terraform_providers, "_from_wheel", lambda: [Provider((3, 39, 0), tmp_path / "wheel.zip")])
    monkeypatch.setattr(terraform_providers, "plugin_folders", lambda: (tmp_path / "one", tmp_path / "two"))

    found = providers.__wrapped__()

    assert ["aws-3.39.0", "aws-5.9.0", "aws-5.100.0"] == [str(provider) for provider in found]
    assert tmp_path / "wheel.zip" == found[0].source
    assert tmp_path / "one" / "terraform-provider-aws_v5.100.0_x5" == found[-1].source


def test_plugin_folder_has_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform uses the newest version that it finds, so each version has its own folder."""
    monkeypatch.setattr(terraform_providers, "CACHE", tmp_path / "cache")
    install(tmp_path, "terraform-provider-aws_v5.100.0_x5")
    (provider,) = executables(tmp_path)

    folders = {provider.plugins(), provider.plugins()}

    (folder,) = folders
    (found,) = folder.rglob("terraform-provider-aws_v*")
    assert "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64" == found.parent.relative_to(folder).as_posix()
    assert found.resolve() == provider.source


def test_terraform_plugin_cache_is_searched_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in TF_PLUGIN_CACHE_DIR, if set, comes first."""
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path))

    assert tmp_path == plugin_folders()[0]
