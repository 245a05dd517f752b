"""Serves the API over HTTP: `python -m tests.support.api_over_http`, until its standard input ends.

The ports are in memory, but for pictures and providers, which are those that the environment configures. The first line
of its standard error is its address; its logs go to standard output.
"""

from __future__ import annotations

import os
import sys
from http.server import ThreadingHTTPServer
from threading import Thread

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.providers.registry import ProviderRegistry
from lambdas.settings import Settings
from tests.api.client import Client
from tests.support.fakes import Fakes
from tests.support.quiet_handler import QuietHandler


def serve(client: Client) -> ThreadingHTTPServer:
    """A server on a free port, running."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = client(self.command, self.path, body or None, dict(self.headers))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    settings = Settings.of(os.environ)
    deps = Fakes(providers=ProviderRegistry(settings), pictures=PillowPictures())
    sys.stderr.write(f"http://127.0.0.1:{serve(Client(deps, settings)).server_port}\n")
    sys.stdin.read()


if __name__ == "__main__":
    main()
