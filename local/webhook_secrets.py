"""Provides the secrets that sign webhooks locally: those of WEBHOOK_SECRET, and a stored one for each other tenant."""

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

PREFIX = "whsec_"
DEFAULT = "default"  # the tenant of requests without a key
FILE = "webhook.secrets"
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def parse(text: str) -> dict[str, str]:
    """Parse `secret` (tenant `default`) and `tenant:secret` entries between commas, by tenant. Raises ValueError."""
    found: dict[str, str] = {}
    for entry in (part.strip() for part in text.split(",")):
        tenant, colon, secret = entry.rpartition(":")
        tenant = tenant if colon else DEFAULT
        if not entry:
            continue
        if not TENANT.fullmatch(tenant) or not _signs(secret):
            raise ValueError("a secret is base64, with or without whsec_ before it, and may follow a tenant and ':'")
        if tenant in found:
            raise ValueError("a tenant has one secret")
        found[tenant] = secret
    return found


def complete(data_dir: Path, functions: Mapping[str, str]) -> str:
    """Return the functions' WEBHOOK_SECRET, with a secret for `default` and each tenant that has a key in the settings.

    New secrets are stored in `data_dir`, readable by its owner alone. Raises ValueError for an unusable file.
    """
    given = parse(functions.get("WEBHOOK_SECRET", ""))
    kept = read(data_dir)
    made = {tenant: make() for tenant in sorted(_tenants(functions) - given.keys() - kept.keys())}
    if made:
        _write(data_dir / FILE, kept | made)
    return ",".join(f"{tenant}:{secret}" for tenant, secret in sorted((kept | made | given).items()))


def read(data_dir: Path) -> dict[str, str]:
    """Return the secrets stored in `data_dir`, by tenant. Raises ValueError with the file's name."""
    file = data_dir / FILE
    try:
        return parse(",".join(file.read_text("utf-8").splitlines())) if file.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{file} must hold lines of tenant:secret; {error}.") from error


def make() -> str:
    """Return a new secret of 256 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _tenants(functions: Mapping[str, str]) -> set[str]:
    entries = f"{functions.get('API_KEY', '')},{functions.get('API_KEYS', '')}".split(",")
    pairs = (entry.strip().partition(":") for entry in entries)  # a tenant has no colon, a key may
    return {DEFAULT} | {tenant for tenant, colon, _ in pairs if colon}


def _signs(secret: str) -> bool:
    bare = secret.removeprefix(PREFIX)  # the libraries accept a secret without padding too
    try:
        return bool(base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True))
    except (binascii.Error, ValueError):
        return False


def _write(file: Path, entries: Mapping[str, str]) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.writelines(f"{tenant}:{secret}\n" for tenant, secret in sorted(entries.items()))
    new.replace(file)
