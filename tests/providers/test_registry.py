"""Every registered provider can be built for free, and has models."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from lambdas.domain import catalogue
from lambdas.domain.providers import ALL
from lambdas.settings import Settings


@pytest.mark.parametrize("name", ALL)
def test_it_builds_without_settings_and_has_models(name: str) -> None:
    provider = import_module(f"lambdas.providers.{name}").build(Settings())
    assert hasattr(provider, "paint") != hasattr(provider, "submit")  # one kind or the other
    assert catalogue.cards_of(name)


@pytest.mark.parametrize("name", ALL)
def test_building_imports_no_sdk(name: str) -> None:
    code = (
        "import sys; from importlib import import_module; from lambdas.settings import Settings;"
        f"import_module('lambdas.providers.{name}').build(Settings());"
        "print([m for m in ('boto3', 'botocore') if m in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"
