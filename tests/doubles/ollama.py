"""A strict double of Ollama: input checks as its, shortened prompts, and faults on demand.

What it can do besides: tests/doubles/service.py. By hand: `python -m tests.doubles.ollama --port 11434`, then
`OLLAMA_URL=http://127.0.0.1:11434 make run`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from jsonschema_rs import Draft202012Validator

from lambdas.domain.prompts.compress import compress
from tests.doubles.service import FakeService, RefusedError, Reply, Request, json_reply

MODELS = ("gpt-oss:20b", "llama3.2:latest")
THINKERS = ("gpt-oss:20b",)
AIM = 2400

_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "additionalProperties": False,
    "properties": {"role": {"enum": ["system", "user", "assistant", "tool"]}, "content": {"type": "string"}},
}
_CHAT = Draft202012Validator(
    {
        "type": "object",
        "required": ["model", "messages", "stream"],  # without "stream" the answer would be a stream
        "additionalProperties": False,
        "properties": {
            "model": {"type": "string", "minLength": 1},
            "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
            "stream": {"const": False},
            "think": {"enum": [True, False, "low", "medium", "high", "max"]},
            "format": {"anyOf": [{"const": "json"}, {"type": "object", "required": ["type"]}]},
            "keep_alive": {"type": ["string", "number"]},
            "options": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "num_ctx": {"type": "integer", "minimum": 1},
                    "num_predict": {"type": "integer"},
                    "temperature": {"type": "number", "minimum": 0},
                    "seed": {"type": "integer"},
                },
            },
        },
    }
)


def error(status: int, text: str) -> Reply:
    return json_reply(status, {"error": text})


def shorten(prompt: str) -> str:
    """What a well-behaved model would write, more or less."""
    return compress(prompt, AIM)


# What the model writes, given the system message and the prompt.
WRITES: dict[str, Callable[[str, str], str]] = {
    "too_long": lambda system, prompt: prompt,
    "injected": lambda system, prompt: f"{shorten(prompt)} --seed 42 --ar 16:9",
    "linked": lambda system, prompt: f"{shorten(prompt)} see https://evil.example/x.png",
    "leaked": lambda system, prompt: f"{system} {shorten(prompt)}"[:2900] + system[-40:],
    "off_topic": lambda system, prompt: "I like trains, and trains like me, in a small green valley. " * 10,
    "chatty": lambda system, prompt: f"Sure! Here is the shortened prompt: {shorten(prompt)}",
    "controls": lambda system, prompt: shorten(prompt) + "\x1b[2J\x00",
    "blank": lambda system, prompt: " \n",
}
# Answers under HTTP 200 that are not what they should be.
ANSWERS: dict[str, bytes] = {
    "html_page": b"<html><body>Sign in to the network</body></html>",
    "garbage": b'{"message": {"content": "a ca',
    "deep": b'{"message":' * 100_000,
    "list": b"[1, 2, 3]",
    "no_message": b'{"model": "gpt-oss:20b", "done": true}',
    "error_in_200": b'{"error": "an error was encountered while running the model"}',
    "content_list": b'{"message": {"role": "assistant", "content": [1]}, "done": true}',
}
# Only where a schema is asked for, as gpt-oss does at times.
STRUCTURE = ("empty_structure", "plain_structure", "other_structure")


class FakeOllama(FakeService):
    refusals: ClassVar[dict[str, Reply]] = {
        "busy": error(503, "server busy, please try again.  maximum pending requests exceeded"),
        "internal": error(500, "llama runner process has terminated: signal: killed"),
        "missing": error(404, "model 'gpt-oss:20b' not found"),
    }
    own: ClassVar[dict[str, str]] = dict.fromkeys((*WRITES, *ANSWERS, *STRUCTURE, "cut_off"), "work")

    def route(self, request: Request) -> Reply:
        if request.method == "GET" and request.path == "/api/tags":
            rows = [{"name": m, "model": m, "size": 13_793_441_244, "details": {"format": "gguf"}} for m in MODELS]
            return self.ask(lambda kind: json_reply(200, {"models": rows}))
        if request.method == "POST" and request.path == "/api/chat":
            body = self._checked(request)
            return self.work(body["model"], body, lambda seconds, kind: self._chat(body, seconds, kind))
        raise RefusedError(Reply(404, b"404 page not found"))

    def _checked(self, request: Request) -> dict[str, Any]:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise RefusedError(error(400, "invalid character in JSON")) from None
        for problem in _CHAT.iter_errors(body):
            raise RefusedError(error(400, f"json: cannot unmarshal: {problem.instance_path}"))
        if body["model"] not in MODELS:
            raise RefusedError(error(404, f"model '{body['model']}' not found"))
        if body.get("think") and body["model"] not in THINKERS:
            raise RefusedError(error(400, f'"{body["model"]}" does not support thinking'))
        return dict(body)

    def _chat(self, body: dict[str, Any], seconds: float, kind: str | None) -> Reply:
        self.pause(seconds)
        if kind in ANSWERS:
            return Reply(200, ANSWERS[kind], {"Content-Type": "application/json"})
        system = next((m["content"] for m in body["messages"] if m["role"] == "system"), "")
        prompt = body["messages"][-1]["content"]
        text = WRITES[kind](system, prompt) if kind in WRITES else shorten(prompt)
        content = text
        if "format" in body:
            content = json.dumps({"prompt": text})
            content = {"empty_structure": "", "plain_structure": text, "other_structure": '{"text": "a"}'}.get(
                kind or "", content
            )
        message = {"role": "assistant", "content": content}
        if body.get("think"):
            message["thinking"] = "The user wants it shorter."
        reason = "length" if kind == "cut_off" else "stop"
        return json_reply(
            200, {"model": body["model"], "message": message, "done": True, "done_reason": reason, "eval_count": 200}
        )


def main() -> None:
    """Serve until Ctrl-C."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=11434)
    options.add_argument("--seconds", type=float, default=1.0, help="what a good answer takes")
    given = options.parse_args()
    with FakeOllama(given.port, given.seconds) as fake, suppress(KeyboardInterrupt):
        print(f"fake Ollama on {fake.url}")  # noqa: T201
        fake.closing.wait()


if __name__ == "__main__":
    main()
