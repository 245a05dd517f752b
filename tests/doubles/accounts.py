"""An account at every service, played by its double, for the operator's check of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

from lambdas.domain.catalogue.cards import bedrock
from lambdas.providers.models_check import findings as f
from lambdas.providers.models_check.__main__ import look
from lambdas.settings import Settings
from tests.doubles import gemini as gemini_double
from tests.doubles import leonardo as leonardo_double
from tests.doubles import runware as runware_double
from tests.doubles.aws_accounts import ENDPOINT, FakeAws, listed, model
from tests.doubles.comfyui import FakeComfyUI
from tests.doubles.gpu import FakeGpu
from tests.doubles.ollama import FakeOllama
from tests.doubles.service import FakeService

TODAY = date(2026, 11, 20)
TEXT = Settings().bedrock_text_model
KEYS = (leonardo_double.KEY, runware_double.KEY, gemini_double.KEY)
KINDS = (
    FakeAws,
    leonardo_double.FakeLeonardo,
    runware_double.FakeRunware,
    gemini_double.FakeGemini,
    FakeComfyUI,
    FakeOllama,
    FakeGpu,
)


@dataclass(frozen=True)
class World:
    """One account at each service, all in order."""

    aws: FakeAws
    leonardo: leonardo_double.FakeLeonardo
    runware: runware_double.FakeRunware
    gemini: gemini_double.FakeGemini
    comfyui: FakeComfyUI
    ollama: FakeOllama
    gpu: FakeGpu

    @property
    def services(self) -> list[FakeService]:
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def environ(self) -> dict[str, str]:
        return {
            "BEDROCK": "1",
            "LEONARDO_API_KEY": leonardo_double.KEY,
            "LEONARDO_BASE_URL": self.leonardo.base_url,
            "RUNWARE_API_KEY": runware_double.KEY,
            "RUNWARE_BASE_URL": self.runware.base_url,
            "GEMINI_API_KEY": gemini_double.KEY,
            "GEMINI_BASE_URL": f"{self.gemini.url}/v1beta",
            "COMFYUI_URL": f"{self.comfyui.url}/",
            "OLLAMA_URL": self.ollama.url,
            "SAGEMAKER_ENDPOINT": ENDPOINT,
        }

    def states(self, *only: str, timeout: float = 5.0, **more: str) -> dict[str, str]:
        """Model to state, with the services of these settings only (all, without), and more settings."""
        on = {k: v for k, v in self.environ.items() if not only or k in only or k.endswith("_BASE_URL")}
        found = look(Settings.of(on | more), TODAY, timeout)
        return {finding.model: finding.text for finding in found if finding.model != "-" or finding.state != f.SKIPPED}

    def reset(self) -> None:
        """Every account as the catalogue expects it."""
        for service in self.services:
            service.clear()
            service.calls.clear()
        self.aws.models = {"us-west-2": [*(listed(card.id) for card in bedrock.CARDS), model(TEXT, "TEXT")]}
        self.aws.status = "InService"
        self.leonardo.listed = {"v2": ["Flux Dev", "Motion 2.0"], "v1": ["Phoenix 1.0", "Lucid Origin"]}
        self.gemini.listed = gemini_double.FakeGemini.listed
        self.comfyui.absent = set()
        self.comfyui.newer = False
