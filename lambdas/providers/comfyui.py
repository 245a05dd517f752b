"""Queues Flux graphs at the operator's own ComfyUI server, and polls it for the images."""

from __future__ import annotations

import re
import time
from typing import Any, Final
from urllib.parse import quote, urlencode

from lambdas.domain.catalogue.cards.comfyui import LOADERS
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.providers._client import http
from lambdas.providers._client.hostile_json import items, mapping, parsed
from lambdas.settings import Settings

WHO: Final = "ComfyUI"
FOLDER: Final = "image-api"  # under its output and input folders
SAVE: Final = "10"  # the node that ends the graph
STEPS: Final = 20  # by default, as GUIDANCE: the values of ComfyUI's own Flux example
GUIDANCE: Final = 3.5
DENOISE: Final = 0.8  # the repainted share of a reference image
SUBMIT_SECONDS: Final = 30.0  # queueing itself takes milliseconds
MAX_IMAGE: Final = 40_000_000
EXTENSIONS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def build(settings: Settings) -> ComfyUI:
    """The provider; nothing is connected before its first call."""
    return ComfyUI(settings.comfyui_url.rstrip("/"))


class ComfyUI:
    """The ticket is the prompt's id, which the client chooses. Calls are free, and the URL is trusted."""

    client_chooses_id = True
    notifies_completion = False

    def __init__(self, url: str) -> None:
        self._url = url

    def submit(self, task: ImageTask, timeout: float) -> Ticket:
        """Queue one image. The ticket is valid even if the response is lost, because the id is ours."""
        ends_at = time.monotonic() + timeout
        if task.reference:
            self._upload(task, timeout)
        left = min(ends_at - time.monotonic(), SUBMIT_SECONDS)
        try:
            answer = http.post_json(f"{self._url}/prompt", to_payload(task), timeout=left, paid=True, who=WHO)
        except ProviderFailure as lost:
            if lost.paid == "unknown":  # it may have been queued
                return Ticket(task.id)
            raise
        if answer.status != 200:
            raise http.judged(to_failure, answer, WHO)
        return Ticket(to_id(answer.body) or task.id)

    def collect(self, ticket: Ticket, task: ImageTask, timeout: float) -> GeneratedImage | None:  # noqa: ARG002  the port's
        """Return the image, or `None` while it is queued or generated. Raises ProviderFailure."""
        ends_at = time.monotonic() + timeout
        entry = self._history(ticket.id, ends_at)
        if entry is None and self._is_queued(ticket.id, ends_at):
            return None
        entry = entry or self._history(ticket.id, ends_at)  # it may have ended between the two requests
        if entry is None:
            raise ProviderFailure(Failure.OUTCOME_UNKNOWN, f"{WHO} does not know this work")
        return GeneratedImage(self._fetch(to_file(entry), ends_at))

    def _upload(self, task: ImageTask, timeout: float) -> None:
        media_type, body = to_upload(task)
        headers = {"Content-Type": media_type}
        answer = http.call("POST", f"{self._url}/upload/image", headers=headers, body=body, timeout=timeout, who=WHO)
        if answer.status != 200:
            raise http.failure(answer, WHO)
        taken = mapping(answer.json(WHO))
        if f"{taken.get('subfolder')}/{taken.get('name')}" != _reference_name(task):
            raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} put the reference image elsewhere")

    def _history(self, prompt_id: str, ends_at: float) -> dict[str, Any] | None:
        answer = self._ask(f"/history/{quote(prompt_id, safe='')}", ends_at)
        return mapping(answer.json(WHO)).get(prompt_id)

    def _is_queued(self, prompt_id: str, ends_at: float) -> bool:
        queue = mapping(self._ask("/queue", ends_at).json(WHO))
        queued = [*items(queue.get("queue_running")), *items(queue.get("queue_pending"))]
        return any(isinstance(item, list) and prompt_id in item[1:2] for item in queued)

    def _fetch(self, file: dict[str, str], ends_at: float) -> bytes:
        data = self._ask(f"/view?{urlencode(file)}", ends_at).body
        if not data:
            raise ProviderFailure(Failure.BAD_ANSWER, "the image was empty")
        return data

    def _ask(self, path: str, ends_at: float) -> http.Answer:
        left = ends_at - time.monotonic()
        answer = http.settled(http.ask("GET", self._url + path, timeout=left, who=WHO, max_bytes=MAX_IMAGE), WHO)
        if answer.status in (401, 403):
            raise ProviderFailure(Failure.NOT_AUTHORIZED, f"{WHO} does not let us ask")
        if answer.status != 200:
            raise ProviderFailure(Failure.FAILED, f"{WHO} answered HTTP {answer.status} when asked for the image")
        return answer


def to_payload(task: ImageTask) -> dict[str, Any]:
    """Return the request body. The new file name in the graph prevents an answer from ComfyUI's cache."""
    return {"prompt": to_graph(task), "prompt_id": task.id}


def to_graph(task: ImageTask) -> dict[str, Any]:
    """Return the Flux graph in API format: nodes by id, links as [node, number of its output]."""
    loader = LOADERS[task.card.id]
    width, height = task.generate
    graph = {
        **loader.nodes,
        "4": _node("CLIPTextEncode", text=task.prompt, clip=list(loader.clip)),
        "5": _node("FluxGuidance", conditioning=["4", 0], guidance=GUIDANCE if task.cfg is None else task.cfg),
        "6": _node("ConditioningZeroOut", conditioning=["4", 0]),
        "7": _node("EmptySD3LatentImage", width=width, height=height, batch_size=1),
        "8": _node(
            "KSampler",
            model=list(loader.model),
            seed=task.seed,
            steps=task.steps or STEPS,
            cfg=1.0,  # Flux is guided by FluxGuidance alone
            sampler_name="euler",
            scheduler="simple",
            positive=["5", 0],
            negative=["6", 0],
            latent_image=["7", 0],
            denoise=1.0,
        ),
        "9": _node("VAEDecode", samples=["8", 0], vae=list(loader.vae)),
        SAVE: _node("SaveImage", images=["9", 0], filename_prefix=f"{FOLDER}/{task.id}"),
    }
    if task.reference:
        scaled = {"upscale_method": "lanczos", "width": width, "height": height, "crop": "center"}
        graph["11"] = _node("LoadImage", image=_reference_name(task))
        graph["12"] = _node("ImageScale", image=["11", 0], **scaled)
        graph["7"] = _node("VAEEncode", pixels=["12", 0], vae=list(loader.vae))
        graph["8"]["inputs"]["denoise"] = DENOISE
    return graph


def to_upload(task: ImageTask) -> tuple[str, bytes]:
    """Return the media type and the body of a form with the reference image."""
    mark = f"image-api-{task.id}"
    folder, _, name = _reference_name(task).partition("/")
    fields = {"type": "input", "subfolder": folder, "overwrite": "true"}
    lines = [f'--{mark}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    lines.append(f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n')
    lines.append(f"Content-Type: {task.reference_type}\r\n\r\n")
    body = "".join(lines).encode() + (task.reference or b"") + f"\r\n--{mark}--\r\n".encode()
    return f"multipart/form-data; boundary={mark}", body


def to_id(body: bytes) -> str | None:
    """Return the id of the queued prompt; an old server ignores ours and chooses its own."""
    prompt_id = mapping(parsed(body)).get("prompt_id")
    return prompt_id if isinstance(prompt_id, str) and _ID.fullmatch(prompt_id) else None


def to_file(entry: object) -> dict[str, str]:
    """Return the saved file as parameters of `/view`. Raises ProviderFailure if there is none."""
    status = mapping(mapping(entry).get("status"))
    if status.get("status_str") == "error":
        raise _ended(status.get("messages"))
    saved = mapping(mapping(mapping(entry).get("outputs")).get(SAVE))
    image = mapping(next(iter(items(saved.get("images"))), None))
    file = {name: image.get(name) for name in ("filename", "subfolder", "type")}
    texts = {name: value for name, value in file.items() if isinstance(value, str) and value.isprintable()}
    if len(texts) < 3 or not texts["filename"]:
        raise ProviderFailure(Failure.FAILED, "the graph ended without an image")
    path = f"{texts['subfolder']}/{texts['filename']}".replace("\\", "/")
    if texts["type"] != "output" or ".." in path.split("/"):
        raise ProviderFailure(Failure.BAD_ANSWER, "the image lies where no image of ours is saved")
    return texts


def to_failure(answer: http.Answer) -> ProviderFailure:
    """Map the error of a submission to a failure."""
    body = mapping(parsed(answer.body))
    kind = mapping(body.get("error")).get("type")
    if answer.status != 400 or not kind:
        failure = http.failure(answer, WHO)
        failure.paid = "no"
        return failure
    if kind in ("invalid_prompt", "missing_node_type"):
        return ProviderFailure(Failure.MODEL_GONE, f"{WHO} lacks a node that the model's graph needs; update it")
    wrong = [
        mapping(error)
        for node in mapping(body.get("node_errors")).values()
        for error in items(mapping(node).get("errors"))
    ]
    for error in wrong:
        name = str(mapping(error.get("extra_info")).get("input_name"))
        if error.get("type") == "value_not_in_list" and name in _FILE_INPUTS:
            return ProviderFailure(Failure.MODEL_GONE, f"{WHO} lacks a file of the model ({name})")
    types = ", ".join(sorted({str(error.get("type")) for error in wrong})) or str(kind)
    return ProviderFailure(Failure.INVALID_REQUEST, f"{WHO} did not accept the graph: {http.quote(types)}")


_ID: Final = re.compile(r"[!-~]{1,100}")
_FILE_INPUTS: Final = frozenset(
    name for loader in LOADERS.values() for node in loader.nodes.values() for name in node["inputs"] if "name" in name
)


def _ended(messages: object) -> ProviderFailure:
    """Map the messages of a failed graph to a failure. An error's text is not used: it may contain the prompt."""
    told = {message[0]: mapping(message[1]) for message in items(messages) if _is_pair(message)}
    if "execution_interrupted" in told:
        return ProviderFailure(Failure.FAILED, f"the work was interrupted at {WHO}")
    if "OutOfMemory" in str(told.get("execution_error", {}).get("exception_type")):
        return ProviderFailure(Failure.FAILED, f"{WHO} ran out of memory")
    return ProviderFailure(Failure.FAILED, f"the graph failed at {WHO}")


def _is_pair(message: object) -> bool:
    return isinstance(message, list) and len(message) == 2 and isinstance(message[0], str)


def _reference_name(task: ImageTask) -> str:
    return f"{FOLDER}/{task.id}.{EXTENSIONS[task.reference_type]}"


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}
