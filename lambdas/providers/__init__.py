"""The registry of providers: name to module. A module is imported when its provider is first used."""

from __future__ import annotations

from typing import Final

# Each module has `build(settings) -> Provider`; settings are lambdas.settings.Settings.
MODULES: Final = {
    "bedrock": "lambdas.providers.bedrock",
    "demo": "lambdas.providers.demo",
}
