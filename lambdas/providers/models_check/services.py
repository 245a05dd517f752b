"""Checks the models of Leonardo, Runware, Gemini, Ollama and a local GPU worker, as far as that is free."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any, Final
from urllib.parse import quote_plus

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.providers._client.hostile_json import mapping, mappings
from lambdas.providers.models_check import findings as f
from lambdas.providers.models_check.asking import call, get, refused, rows, texts
from lambdas.providers.text.ollama import to_names
from lambdas.settings import Settings

LEONARDO: Final = "Leonardo"
RUNWARE: Final = "Runware"
GEMINI: Final = "Gemini"
OLLAMA: Final = "Ollama"
PROMPTS: Final = "ollama (prompts)"
WORKER: Final = "the GPU worker"

MAX_PAGES: Final = 20  # of up to 1000 models each

# Neither of Leonardo's lists has the model names of API v2. These are the display name and the API v1 id that they
# have instead (docs.leonardo.ai, read 2026-10-08).
LEONARDO_LISTS: Final[dict[str, tuple[str, str]]] = {
    "flux-dev": ("Flux Dev", "b2614463-296c-462a-9586-aafdb8f00e36"),
    "phoenix-v1.0": ("Phoenix 1.0", "de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3"),
    "lucid-origin": ("Lucid Origin", "7b592283-e8a7-4c5a-9ba6-d18c31f258b9"),
}
# Gemini does not state which of its models generate images; these parts of their names do.
GEMINI_IMAGE: Final = re.compile(r"(^|-)(image|nano-banana)(-|$)")


def leonardo(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check the key by the account, and the models by both lists, which are not complete."""
    ends_at = time.monotonic() + timeout
    url, key = settings.leonardo_base_url.rstrip("/"), settings.leonardo_api_key
    headers = {"Authorization": f"Bearer {key}"}
    get(f"{url}/v1/me", headers, ends_at, LEONARDO, key)
    listed = [
        *rows(get(f"{url}/v2/models", headers, ends_at, LEONARDO, key), "productionApiAvailableModels", LEONARDO),
        *rows(get(f"{url}/v1/platformModels", headers, ends_at, LEONARDO, key), "custom_models", LEONARDO),
    ]
    known = {_plain(text) for row in listed for text in texts((row.get("id"), row.get("name")))}
    found = []
    for card in cards:
        marks = LEONARDO_LISTS.get(card.id, ())
        state = f.OK if known & {_plain(mark) for mark in marks} else f.UNCHECKED
        shown = f'"{marks[0]}"' if marks else "it"
        why = "" if state == f.OK else f"no list of the account names {shown}, but they do not name all; try it"
        found.append(f.Finding("leonardo_ai", card.id, state, why))
    return found


def runware(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check only the key, by polling a task that does not exist; no free call is about a model."""
    key = settings.runware_api_key
    task = [{"taskType": "getResponse", "taskUUID": str(uuid.uuid4())}]
    headers = {"Authorization": f"Bearer {key}"}
    answer = call("POST", settings.runware_base_url, headers, time.monotonic() + timeout, RUNWARE, task)
    if answer.status not in (200, 400, 404):
        raise refused(answer, RUNWARE, key)
    told = mapping(answer.json(RUNWARE))
    codes = texts(error.get("code") for error in mappings(told.get("errors")))
    if any("apikey" in code.lower() for code in codes):
        raise refused(answer, RUNWARE, key)
    if not codes and not isinstance(told.get("data"), list):
        raise ProviderFailure(Failure.BAD_ANSWER, f"{RUNWARE} answered in an unknown form")
    why = "the key is good, but only a paid call tells whether the model is there"
    return [f.Finding("runware_ai", card.id, f.UNCHECKED, why) for card in cards]


def gemini(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check each model by the list, and report the image models in it that have no card."""
    ends_at = time.monotonic() + timeout
    url, key = f"{settings.gemini_base_url.rstrip('/')}/models?pageSize=1000", settings.gemini_api_key
    listed: dict[str, Any] = {}
    token = ""
    for _ in range(MAX_PAGES):
        page = f"{url}&pageToken={quote_plus(token)}" if token else url
        answer = get(page, {"x-goog-api-key": key}, ends_at, GEMINI, key)
        for row in rows(answer, "models", GEMINI):
            listed[str(row.get("name")).removeprefix("models/")] = row.get("supportedGenerationMethods")
        token = answer.get("nextPageToken") or ""
        if not isinstance(token, str) or len(token) > 2000:
            raise ProviderFailure(Failure.BAD_ANSWER, f"{GEMINI} answered in an unknown form")
        if not token:
            break
    else:
        raise ProviderFailure(Failure.BAD_ANSWER, f"the list of {GEMINI} has no end")
    usable = {name for name, ways in listed.items() if isinstance(ways, list) and "generateContent" in ways}
    found = [_listed("gemini", card.id, usable, "not listed for this key") for card in cards]
    return [*found, *f.unlisted("gemini", (name for name in usable if GEMINI_IMAGE.search(name)))]


def ollama(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:  # noqa: ARG001
    """Check the model that shortens prompts."""
    answer = get(f"{settings.ollama_url.rstrip('/')}/api/tags", {}, time.monotonic() + timeout, OLLAMA)
    rows(answer, "models", OLLAMA)
    return [_listed(PROMPTS, settings.ollama_model, to_names(answer), "not pulled")]


def worker(settings: Settings, cards: tuple[ModelCard, ...], timeout: float) -> list[f.Finding]:
    """Check whether the worker is ready; it does not report which models are loaded."""
    url = f"{settings.gpu_worker_url.rstrip('/')}/ping"
    answer = call("GET", url, {}, time.monotonic() + timeout, WORKER)
    if answer.status != 200:
        raise refused(answer, WORKER)
    return [f.Finding("sagemaker", card.id, f.OK, "the worker is ready") for card in cards]


def _listed(provider: str, model: str, names: set[str], otherwise: str) -> f.Finding:
    return f.Finding(provider, model, f.OK) if model in names else f.Finding(provider, model, f.GONE, otherwise)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
