"""The CDK app: environments, settings, no account needed, and the snapshot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import config, snapshot
from infra.build import ROOT
from infra.deploy import node
from tests.infra.conftest import Templates

UNREACHABLE = "http://127.0.0.1:9"


def synthesise(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run app.py with no credentials, no network, and no Node on the PATH."""
    environment = {
        "HOME": os.environ.get("HOME", ""),
        "PATH": "",
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps(snapshot.NOT_BUNDLED),
        "HTTPS_PROXY": UNREACHABLE,
        "HTTP_PROXY": UNREACHABLE,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    words = [sys.executable, "app.py", *arguments]
    return subprocess.run(words, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


def test_production_is_synthesised_without_an_account_a_network_or_a_node_of_its_own(tmp_path: Path) -> None:
    result = synthesise(tmp_path, "-c", "env=prod", "-c", "RATE_LIMIT_PER_MINUTE=60")
    assert result.returncode == 0, result.stderr
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert not manifest.get("missing")
    stacks = {name for name, artifact in manifest["artifacts"].items() if artifact["type"].endswith("stack")}
    assert stacks == {"image-api-prod-data", "image-api-prod-service", "image-api-prod-gpu"}
    assert '"60"' in (tmp_path / "image-api-prod-service.template.json").read_text("utf-8")


def test_an_unknown_environment_is_named(tmp_path: Path) -> None:
    result = synthesise(tmp_path, "-c", "env=staging")
    assert result.returncode == 1
    assert result.stderr.strip() == "There is no environment 'staging'. Choose one of: dev, prod (-c env=...)."


def test_templates_stay_below_the_limits_of_cloudformation(templates: Templates) -> None:
    for name in templates.files:
        assert len(templates.files[name].read_bytes()) < 1_000_000
        assert len(templates.template(name)["Resources"]) < 400


def test_committed_snapshot_equals_a_fresh_synthesis() -> None:
    fresh = snapshot.templates()
    committed = {path.name: path.read_text("utf-8") for path in snapshot.FOLDER.glob("*.json")}
    assert fresh == committed, "The templates changed. Write the snapshot again: make snapshot"


def test_snapshot_needs_no_bootstrap_and_holds_no_hash_of_the_code() -> None:
    for text in snapshot.templates().values():
        assert "cdk-hnb659fds" not in text
        assert "bootstrap" not in text.lower()


def test_settings_take_known_names_only() -> None:
    assert config.settings({"env": "dev", "@aws-cdk/core:x": True, "LOG_LEVEL": "DEBUG"}) == {"LOG_LEVEL": "DEBUG"}
    with pytest.raises(SystemExit, match="RATE_LIMIT is no setting of a deployment"):
        config.settings({"RATE_LIMIT": "60"})
    for secret in config.SECRETS:
        with pytest.raises(SystemExit, match="Put it into the provider secret"):
            config.settings({secret: "sk-1"})


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("COMFYUI_URL", "http://10.0.0.7:37403,", "http://10.0.0.7:37403"),
        ("RATE_LIMIT_PER_MINUTE", "many", 60),
        ("MAX_MODELS_CACHE", "0", 2),
        ("REQUIRE_API_KEY", "perhaps", True),
        ("LOG_LEVEL", "loud", "debug"),
        ("PROVIDER_CONCURRENCY", "bedrok:3", "bedrock:3"),
    ],
)
def test_a_setting_that_no_function_could_use_is_not_deployed(name: str, value: str, right: str | int | bool) -> None:
    with pytest.raises(SystemExit, match=f"^{name} must be "):
        config.settings({name: value})
    assert config.settings({name: right}) == {name: str(right)}


def test_documentation_lists_every_setting() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text("utf-8").partition("## Settings")[2].partition("Three of them")[0]
    assert set(re.findall(r"`([A-Z_]+)`", text)) == config.SETTINGS


def test_environments_are_complete_and_frozen() -> None:
    assert list(config.ENVIRONMENTS) == ["dev", "prod"]
    with pytest.raises(AttributeError):
        config.ENVIRONMENTS["prod"].protected = False  # type: ignore[misc]


def test_node_comes_from_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSII_NODE", raising=False)
    node.use_packaged_node()
    assert os.environ["JSII_NODE"] == str(node.packaged_node())
    monkeypatch.setenv("JSII_NODE", "/my/node")
    node.use_packaged_node()
    assert os.environ["JSII_NODE"] == "/my/node"


def test_without_any_node_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSII_NODE", raising=False)
    monkeypatch.setattr(node, "packaged_node", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match=r"pip install -r requirements\.txt"):
        node.use_packaged_node()
