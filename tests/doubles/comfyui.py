"""A strict double of a ComfyUI server: graph checks as its, a queue, pictures, a history, and faults on demand.

It has one GPU: what is queued is painted one after the other. What it can do besides: tests/doubles/service.py.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesParser
from typing import Any, ClassVar

from tests.doubles.comfyui_nodes import described, wrong
from tests.doubles.service import FakeService, RefusedError, Reply, Request, json_reply, paint


def _refused(kind: str, **node_errors: Any) -> Reply:
    error = {"type": kind, "message": kind, "details": "", "extra_info": {}}
    return json_reply(400, {"error": error, "node_errors": node_errors})


def _node_error(kind: str, name: str, class_type: str) -> dict[str, Any]:
    error = {"type": kind, "message": kind, "details": name, "extra_info": {"input_name": name}}
    return {"errors": [error], "dependent_outputs": ["10"], "class_type": class_type}


INVALID = "prompt_outputs_failed_validation"
CANONICAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Job:
    """One prompt: it is `running` while the time has come and it has not yet ended."""

    id: str
    number: int
    graph: dict[str, Any]
    begins_at: float
    ends_at: float
    entry: dict[str, Any]
    file: str


class FakeComfyUI(FakeService):
    """The server, with the files of both Flux models in place."""

    refusals: ClassVar[dict[str, Reply]] = {
        "missing_file": _refused(INVALID, **{"1": _node_error("value_not_in_list", "unet_name", "UNETLoader")}),
        "missing_node": _refused("invalid_prompt"),
        "missing_node_type": _refused("missing_node_type"),
        "too_big": _refused(INVALID, **{"7": _node_error("value_bigger_than_max", "width", "EmptySD3LatentImage")}),
        "no_scheduler": _refused(INVALID, **{"8": _node_error("value_not_in_list", "scheduler", "KSampler")}),
        "invalid_id": _refused("invalid_prompt_id"),
        "forbidden": Reply(403, b""),
        "internal": Reply(500, b"500 Internal Server Error\n\nServer got itself in trouble"),
        "throttle": Reply(429, b"", {"Retry-After": "7"}),
        "unavailable": Reply(503, b"<html>Service Unavailable</html>"),
        "gone": Reply(404, b"404: Not Found"),
    }
    own: ClassVar[dict[str, str]] = {
        **dict.fromkeys(
            ["failed_job", "out_of_memory", "interrupted", "no_output", "no_images", "elsewhere", "forgotten"], "work"
        ),
        **dict.fromkeys(["own_id", "unreadable"], "work"),
    }

    def __init__(self, port: int = 0, seconds: float = 0.0) -> None:
        super().__init__(port, seconds)
        self.jobs: list[Job] = []
        self.uploads: dict[str, bytes] = {}
        self.absent: set[str] = set()  # nodes and files that /object_info does not tell of
        self.newer = False  # whether it tells of lists as servers do since 2025

    def route(self, request: Request) -> Reply:
        host = request.headers.get("Host")
        if request.headers.get("Origin", host) != host:
            raise RefusedError(Reply(403, b""))
        path = request.path.removeprefix("/api")
        if request.method == "POST":
            if path == "/prompt":
                return self._queue(request)
            if path == "/upload/image":
                return self._free("upload", lambda kind: self._upload(request))
        elif path == "/queue":
            return self.ask(lambda kind: _or_html(kind, self._queue_view))
        elif path.startswith("/history/"):
            return self.ask(lambda kind: _or_html(kind, lambda: self._history(path.removeprefix("/history/"))))
        elif path == "/object_info":
            nodes = described(self.absent, self.newer)
            return self.ask(lambda kind: _or_html(kind, lambda: json_reply(200, nodes)))
        elif path == "/view":
            return self._view(request.query)
        raise RefusedError(Reply(404, b"404: Not Found"))

    def _queue(self, request: Request) -> Reply:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise RefusedError(self.refusals["internal"]) from None
        prompt_id = body.get("prompt_id") or str(uuid.uuid4())
        if not CANONICAL.fullmatch(prompt_id):
            raise RefusedError(self.refusals["invalid_id"])
        if not isinstance(body.get("prompt"), dict):
            raise RefusedError(_refused("no_prompt"))
        graph = body["prompt"]
        if found := wrong(graph, self.uploads):
            raise RefusedError(json_reply(400, {"error": found[0], "node_errors": found[1]}))
        said = next(node["inputs"] for node in graph.values() if node["class_type"] == "KSampler")
        model = next(iter(graph["1"]["inputs"].values())).removesuffix(".safetensors")
        return self.work(
            model, {"seed": said["seed"], **body}, lambda seconds, kind: self._accept(prompt_id, graph, seconds, kind)
        )

    def _accept(self, prompt_id: str, graph: dict[str, Any], seconds: float, kind: str | None) -> Reply:
        if kind == "own_id":  # as servers did that took none from the client
            prompt_id = str(uuid.uuid4())
        with self.lock:
            now = self.now()
            begins_at = max([now, *(job.ends_at for job in self.jobs)])
            same = next((job for job in self.jobs if job.graph == graph), None)
            ends_at = now if same else begins_at + seconds  # the cache answers for a graph that is not new
            folder, _, prefix = str(graph["10"]["inputs"]["filename_prefix"]).rpartition("/")
            file = same.file if same else f"{prefix}_{len(self.jobs) + 1:05}_.png"
            number = len(self.jobs)
            entry = _entry(number, prompt_id, graph, folder, file, kind)
            if kind != "forgotten":
                self.jobs.append(Job(prompt_id, number, graph, begins_at, ends_at, entry, file))
        if kind == "unreadable":
            return Reply(200, b"<html>")
        return json_reply(200, {"prompt_id": prompt_id, "number": number, "node_errors": {}})

    def _upload(self, request: Request) -> Reply:
        head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        form = BytesParser().parsebytes(head + request.body)
        if not form.is_multipart():
            raise RefusedError(Reply(400, b""))
        parts: Any = form.get_payload()
        fields = {str(part.get_param("name", header="content-disposition")): part for part in parts}
        unknown = fields.keys() - {"image", "type", "subfolder", "overwrite"}
        if unknown or not fields.get("image") or not fields["image"].get_filename():
            raise RefusedError(Reply(400, b""))
        folder = fields["subfolder"].get_payload() if "subfolder" in fields else ""
        name = fields["image"].get_filename()
        if ".." in f"{folder}/{name}" or fields["type"].get_payload() != "input":
            raise RefusedError(Reply(400, b""))
        if f"{folder}/{name}" in self.uploads and fields["overwrite"].get_payload() != "true":
            name = f"{name} (1)"
        self.uploads[f"{folder}/{name}"] = fields["image"].get_payload(decode=True)  # also of a file that is corrupt
        return json_reply(200, {"name": name, "subfolder": folder, "type": "input"})

    def _queue_view(self) -> Reply:
        now = self.now()
        open_jobs = [job for job in self.jobs if now < job.ends_at]
        items = {
            state: [[job.number, job.id, job.graph, {}, ["10"]] for job in open_jobs if (job.begins_at <= now) == runs]
            for state, runs in [("queue_running", True), ("queue_pending", False)]
        }
        return json_reply(200, items)

    def _history(self, prompt_id: str) -> Reply:
        ended = [job for job in self.jobs if job.id == prompt_id and job.ends_at <= self.now()]
        if not ended:
            return json_reply(200, {})
        entry = ended[-1].entry
        reference = next((n["inputs"]["image"] for n in ended[-1].graph.values() if n["class_type"] == "LoadImage"), "")
        if reference and not _decodes(self.uploads[reference]):
            entry = {**entry, "outputs": {}, "status": _error("execution_error", "UnidentifiedImageError")}
        return json_reply(200, {prompt_id: entry})

    def _view(self, query: dict[str, str]) -> Reply:
        if ".." in query.get("filename", "..") or ".." in query.get("subfolder", ""):
            raise RefusedError(Reply(400, b""))
        job = next((job for job in self.jobs if job.file == query["filename"]), None)
        if job is None or query.get("type") != "output" or query.get("subfolder") != "image-api":
            raise RefusedError(Reply(404, b""))
        latent = job.graph["12" if "12" in job.graph else "7"]["inputs"]
        rest = {key: value for key, value in job.graph.items() if key != "10"}
        return self.download(lambda: paint(json.dumps(rest), (latent["width"], latent["height"])))


def _entry(number: int, prompt_id: str, graph: Any, folder: str, file: str, kind: str | None) -> dict[str, Any]:
    """What the history keeps of a prompt that has ended."""
    image = {"filename": file, "subfolder": folder, "type": "output"}
    outputs: dict[str, Any] = {"10": {"images": [image]}}
    status: dict[str, Any] = {"status_str": "success", "completed": True, "messages": [["execution_start", {}]]}
    if kind == "failed_job":
        outputs, status = {}, _error("execution_error", "RuntimeError")
    elif kind == "out_of_memory":
        outputs, status = {}, _error("execution_error", "torch.OutOfMemoryError")
    elif kind == "interrupted":
        outputs, status = {}, _error("execution_interrupted", "")
    elif kind == "no_output":
        outputs = {}
    elif kind == "no_images":
        outputs = {"10": {"images": []}}
    elif kind == "elsewhere":
        outputs = {"10": {"images": [{**image, "subfolder": "../../etc"}]}}
    return {"prompt": [number, prompt_id, graph, {}, ["10"]], "outputs": outputs, "status": status, "meta": {}}


def _error(name: str, kind: str) -> dict[str, Any]:
    told = {
        "node_id": "8",
        "node_type": "KSampler",
        "exception_message": "the words of the prompt",
        "exception_type": kind,
        "traceback": ["a long text"],
        "current_inputs": {"text": ["the words of the prompt"]},
    }
    return {"status_str": "error", "completed": False, "messages": [["execution_start", {}], [name, told]]}


def _or_html(kind: str | None, make: Callable[[], Reply]) -> Reply:
    return Reply(200, b"<html>Sign in</html>") if kind == "html" else make()


def _decodes(data: bytes) -> bool:
    from PIL import Image

    try:
        Image.open(io.BytesIO(data)).load()
    except (OSError, SyntaxError):
        return False
    return True
