"""Fixtures: one synthesis per environment, shared by all tests of the templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.build import build
from infra.snapshot import NOT_BUNDLED

Resource = dict[str, Any]


@dataclass(frozen=True)
class Templates:
    """The stacks of one environment, as CDK wrote them."""

    environment: str
    folder: Path

    @property
    def files(self) -> dict[str, Path]:
        names = {name: f"image-api-{self.environment}-{name}" for name in ("data", "service", "gpu")}
        paths = {name: self.folder / f"{stack}.template.json" for name, stack in names.items()}
        return {name: path for name, path in paths.items() if path.exists()}

    def template(self, name: str) -> Any:
        return json.loads(self.files[name].read_text("utf-8"))

    def resources(self, kind: str) -> dict[str, Resource]:
        """Logical id to resource, over all stacks."""
        found = {}
        for name in self.files:
            for id, resource in self.template(name)["Resources"].items():
                if resource["Type"] == kind:
                    found[id] = resource
        return found

    def properties(self, kind: str) -> dict[str, dict[str, Any]]:
        return {id: resource.get("Properties", {}) for id, resource in self.resources(kind).items()}

    def function(self, name: str) -> dict[str, Any]:
        """The function whose handler is in the module of that name."""
        handler = f"lambdas.handlers.{name}.handler"
        [properties] = [p for p in self.properties("AWS::Lambda::Function").values() if p["Handler"] == handler]
        return properties

    def statements(self, function: str | None = None) -> list[dict[str, Any]]:
        """What one function may do, or what any role may do; actions and resources always as lists."""
        role = self.function(function)["Role"]["Fn::GetAtt"][0] if function else None
        return [
            statement | {part: _listed(statement[part]) for part in ("Action", "Resource")}
            for policy in self.properties("AWS::IAM::Policy").values()
            if role is None or {"Ref": role} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resolved(value: Any) -> str:
    """The logical id, without its hash, of what a value refers to in its own stack or in another."""
    match value:
        case str():
            return value
        case {"Ref": str(id)} | {"Fn::GetAtt": [str(id), _]}:
            return id[:-8]
        case {"Fn::ImportValue": str(export)}:
            return export.rpartition("ExportsOutputRef")[2][:-16]  # it has a hash of its own
    raise AssertionError(value)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Keep these tests in one process when tests run in several: each would start CDK and synthesise again."""
    if isinstance(collector, pytest.Module):
        collector.add_marker(pytest.mark.xdist_group("infra"))


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Templates]:
    """Synthesise with the context given, without a GPU unless it names one; the same context is synthesised once."""

    @cache
    def once(environment: str, settings: tuple[tuple[str, str], ...]) -> Templates:
        folder = tmp_path_factory.mktemp(environment)
        build({"env": environment, "gpu": "off", **NOT_BUNDLED, **dict(settings)}, outdir=str(folder)).synth()
        return Templates(environment, folder)

    return lambda environment, **settings: once(environment, tuple(sorted(settings.items())))


@pytest.fixture(params=["dev", "prod"])
def templates(request: pytest.FixtureRequest, synthesised: Callable[..., Templates]) -> Templates:
    """Each environment in turn."""
    return synthesised(request.param)


@pytest.fixture
def dev(synthesised: Callable[..., Templates]) -> Templates:
    return synthesised("dev")


@pytest.fixture
def prod(synthesised: Callable[..., Templates]) -> Templates:
    return synthesised("prod")
