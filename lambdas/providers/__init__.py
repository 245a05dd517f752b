"""The registry of providers: name to module. A module is imported when its provider is first used."""

from __future__ import annotations

from typing import Final

# Each module has `build(settings) -> Provider`; settings are lambdas.settings.Settings.
MODULES: Final = {
    "bedrock": "lambdas.providers.bedrock",
    "comfyui": "lambdas.providers.comfyui",
    "demo": "lambdas.providers.demo.provider",
    "gemini": "lambdas.providers.gemini",
    "leonardo_ai": "lambdas.providers.leonardo_ai",
    "runware_ai": "lambdas.providers.runware_ai",
    "sagemaker": "lambdas.providers.sagemaker",
}
