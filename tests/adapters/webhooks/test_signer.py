"""Signatures of Standard Webhooks: the published vector, the public library, and rotation."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import boto3
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from lambdas.adapters.queues import SqsEvents
from lambdas.adapters.webhooks.signer import StandardSigner

VECTOR = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "generation.completed", "data": {"prompt": "Füchse 🦊"}}, ensure_ascii=False).encode()
OLD, NEW = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def headers(signature: str | None, now: float) -> dict[str, str]:
    assert signature
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(now)), "webhook-signature": signature}


def keep(tenant: str, **attributes: str | float) -> None:
    item = {k: {"S": v} if isinstance(v, str) else {"N": str(v)} for k, v in attributes.items()}
    row = {"pk": {"S": f"{tenant}#webhook"}, "sk": {"S": "secret"}, **item}
    boto3.client("dynamodb").put_item(TableName="keys", Item=row)


def test_the_published_vector() -> None:
    signer = StandardSigner("keys", {"acme": VECTOR})
    made = signer.signature("acme", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330.9, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [VECTOR, VECTOR.removeprefix("whsec_"), "AQID" * 8, "AQIDBA"])
def test_the_public_library_verifies(secret: str) -> None:
    now = time.time()
    made = StandardSigner("keys", {"acme": secret}).signature("acme", "msg_1", now, BODY)
    assert Webhook(secret).verify(BODY, headers(made, now)) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, headers(made, now))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers(made, now))


def test_both_secrets_sign_while_a_rotation_lasts(cloud: None) -> None:
    now = time.time()
    keep("acme", secret=NEW, previous=OLD, previous_until=now + 60)
    signer = StandardSigner("keys", {})
    made = signer.signature("acme", "msg_1", now, BODY)
    for secret in (NEW, OLD):
        Webhook(secret).verify(BODY, headers(made, now))
    later = signer.signature("acme", "msg_1", now + 61, BODY)
    assert later == Webhook(NEW).sign("msg_1", datetime.fromtimestamp(int(now + 61), UTC), BODY.decode())


def test_each_tenant_has_its_own_and_settings_go_first(cloud: None) -> None:
    keep("acme", secret=NEW)
    keep("zeta", secret=NEW)
    signer = StandardSigner("keys", {"acme": OLD})
    now = time.time()
    Webhook(OLD).verify(BODY, headers(signer.signature("acme", "msg_1", now, BODY), now))
    Webhook(NEW).verify(BODY, headers(signer.signature("zeta", "msg_1", now, BODY), now))
    assert signer.signature("nobody", "msg_1", now, BODY) is None


@pytest.mark.parametrize("secret", ["whsec_", "no base64!", "ä", "whsec_A"])
def test_a_secret_that_is_none(cloud: None, secret: str, caplog: pytest.LogCaptureFixture) -> None:
    keep("acme", secret=secret)
    assert StandardSigner("keys", {}).signature("acme", "msg_1", 1.0, BODY) is None
    assert StandardSigner("keys", {"acme": secret}).signature("acme", "msg_1", 1.0, BODY) is None
    assert "not base64" in caplog.text
    assert secret == "whsec_" or secret not in caplog.text


def test_messages_are_grouped_by_tenant(cloud: None) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="webhooks")["QueueUrl"]
    SqsEvents(url).send("acme", "job", 1_790_000_000, delay=0)
    [message] = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["MessageGroupId"])["Messages"]
    assert json.loads(message["Body"]) == {"tenant": "acme", "job_id": "job", "due": 1_790_000_000}
    assert message["Attributes"]["MessageGroupId"] == "acme"
