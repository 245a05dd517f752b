"""Manages keys and secrets for the operator: `python -m lambdas.manage_keys create | list | revoke | rotate | …`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.adapters.dynamodb.keyring import DynamoKeyRing
from lambdas.adapters.dynamodb.keys import CACHE_SECONDS
from lambdas.domain.api_keys import ApiKey, checked_tenant, new_key, new_webhook_secret
from lambdas.domain.ids import TENANT
from lambdas.domain.links import MAX_SECONDS, new_link_key
from lambdas.operators_stack import CommandError, reason, stack_of

HELP = "Manage API keys, and secrets of webhooks and links, of a deployed stack or the one that `make run` serves."
DAY = 86_400
UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY}


def main(arguments: Sequence[str], environ: Mapping[str, str], now: float) -> int:
    """Write a new key or secret to the standard output, and messages to the standard error.

    The secret that is made with a tenant's first key is part of a message.
    """
    options = _parser(environ).parse_args(arguments)
    try:
        options.elsewhere = _signing_elsewhere(options, environ)
        ring = key_ring(options.stack, Path(options.data_dir))
        lines, said = options.do(ring, options, now)
    except (CommandError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{reason(error, options.stack, options.data_dir)}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    sys.stderr.write("".join(f"{line}\n" for line in said))
    return 0


Told = tuple[list[str], list[str]]


def create(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> Told:
    key, record = new_key(options.tenant, options.name, now)
    ring.add(key, record)
    said = [f"{record.id} of the tenant {record.tenant}. The key is shown this once: only its hash is kept."]
    try:
        return [key], said + _first_secret(ring, options, now)
    except (BotoCoreError, ClientError) as error:  # the key is there and must be shown
        return [key], [*said, f"There may be no webhook secret yet; `webhook-secret` makes it. ({error})"]


def _first_secret(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> list[str]:
    if place := options.elsewhere.get(options.tenant):
        return [f"Its webhooks are signed with the secret in {place}."]
    secret = new_webhook_secret(now)
    if not ring.keep_webhook_secret(options.tenant, secret, None):
        return []
    return [f"Its webhooks are signed with this secret, shown this once: {secret.value}"]


def webhook_secret(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> Told:
    tenant = checked_tenant(options.tenant)
    if place := options.elsewhere.get(tenant):
        raise CommandError(
            f"This stack signs webhooks of {tenant} with the secret in {place}. Change it, and start again."
        )
    old = ring.webhook_secret(tenant)
    new = new_webhook_secret(now, old, options.grace)
    if not ring.keep_webhook_secret(tenant, new, old):
        raise CommandError(f"Another command has just changed the webhook secret of {tenant}; nothing was done here.")
    said = [f"It signs the webhooks of the tenant {tenant} from now on, and is shown this once."]
    if new.previous:
        said += [f"The one before signs as well until {_day(new.previous_until)} UTC."]
    if old and old.previous_until > now:
        said += ["One that was replaced before has ended now, ahead of its time."]
    if old is None and not ring.of(tenant):
        said += ["The tenant has no key yet. Is its name right?"]
    return [new.value], said


def link_secret(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> Told:
    new = new_link_key(options.tenant, now)
    keys = ring.link_keys()
    old = keys.current(new.tenant)
    if not keys.replace(old, new, now + options.grace):
        raise CommandError(f"Another command has just changed the link secret of {new.tenant}; nothing was done here.")
    said = [f"It signs links to images of the tenant {new.tenant} from now on, and is shown this once."]
    if old:
        said += [f"Links that the one before has signed work until {_day(now + options.grace)} UTC."]
    elif not ring.of(new.tenant):
        said += ["The tenant has no key yet. Is its name right?"]
    return [f"{new.kid}.{new.secret}"], said


def show(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> Told:
    if not TENANT.fullmatch(options.tenant):
        raise CommandError(f"{options.tenant!r} is no name of a tenant.")
    rows = [(k.id, f"...{k.tail}", _day(k.created_at), _state(k, now), k.name) for k in ring.of(options.tenant)]
    if not rows:
        return [], [f"The tenant {options.tenant} has no keys."]
    table = [("KEY ID", "ENDS IN", "CREATED", "STATE", "NAME"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table], []


def revoke(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> Told:
    ended = ring.revoke(options.key_id, now)
    if ended is None:
        raise CommandError(f"There is no key {options.key_id}.")
    return [], [f"{ended.id} of the tenant {ended.tenant} is refused within {CACHE_SECONDS:.0f} seconds."]


def rotate(ring: DynamoKeyRing, options: argparse.Namespace, now: float) -> Told:
    old = ring.find(options.key_id)
    if old is None or not old.valid(now):
        raise CommandError(f"There is no key {options.key_id}, or it is revoked already.")
    key, record = new_key(old.tenant, options.name or old.name, now)
    ring.add(key, record)
    ended = ring.revoke(old.id, now + options.grace) or old
    until = _day(ended.revoked_at or now)
    said = f"{record.id} of the tenant {record.tenant} replaces {old.id}, which is valid until {until} UTC."
    return [key], [said, "The key is shown this once: only its hash is kept."]


def key_ring(stack: str, data_dir: Path) -> DynamoKeyRing:
    found = stack_of(stack, data_dir)
    return DynamoKeyRing(found.client("dynamodb"), found.outputs["KeysTable"])


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("manage_keys", description=HELP)
    verbs = parser.add_subparsers(required=True, metavar="create|list|revoke|rotate|webhook-secret|link-secret")

    def verb(name: str, do: Any, subject: str, text: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.add_argument(subject)
        sub.add_argument("--stack", default="local", choices=("local", "dev", "prod"), help="default: local")
        sub.add_argument("--data-dir", default=environ.get("DATA_DIR") or "data", help="of the local stack")
        sub.set_defaults(do=do)
        return sub

    making = verb("create", create, "tenant", "Make a key and show it, once.")
    making.add_argument("--name", default="", help="what the key is for, such as where it is used")
    verb("list", show, "tenant", "List a tenant's keys.")
    verb("revoke", revoke, "key_id", "End a key.")
    turning = verb("rotate", rotate, "key_id", "Make a new key and end the old one after a while.")
    turning.add_argument("--name", default="", help="of the new key; default: the old one's")
    secret = verb("webhook-secret", webhook_secret, "tenant", "Make or replace what signs a tenant's webhooks.")
    linking = verb("link-secret", link_secret, "tenant", "Make or replace what signs links to a tenant's images.")
    for graceful, default in ((turning, DAY), (secret, DAY), (linking, MAX_SECONDS)):
        graceful.add_argument(
            "--grace", type=_seconds, default=default, help="how long both hold, e.g. 0, 30m, 24h, 7d"
        )
    return parser


def _signing_elsewhere(options: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the tenants whose secret a local run does not read from its table, and where it reads it."""
    if options.stack != "local":
        return {}
    kept = Path(options.data_dir) / "webhook.secrets"  # written by the local run
    lines = kept.read_text("utf-8").split() if kept.is_file() else []
    given = (part.strip() for part in environ.get("WEBHOOK_SECRET", "").split(",") if part.strip())
    found = {line.rpartition(":")[0]: str(kept) for line in lines}
    return found | {entry.rpartition(":")[0] or "default": "WEBHOOK_SECRET" for entry in given}


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([smhd]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 0, 30m, 24h or 7d")
    return int(match[1]) * UNITS[match[2] or "s"]


def _state(key: ApiKey, now: float) -> str:
    if key.revoked_at is None:
        return "valid"
    return f"{'valid until' if key.valid(now) else 'revoked'} {_day(key.revoked_at)}"


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, time.time()))
