"""The stored form of a job: old records can be read, and the same job gives the same bytes."""

from __future__ import annotations

import json
from typing import Final

from lambdas.adapters.dynamodb.items import plain
from lambdas.adapters.dynamodb.jobs import job_of, to_item
from lambdas.domain.catalogue.sizes import Sizing
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import Attempt, Job, JobError, Rewriting, StoredImage
from lambdas.domain.jobs.request import Dropped, ImageRequest

JOB: Final = Job(
    tenant="acme",
    id="0190",
    request=ImageRequest(
        "a fox",
        task="background",
        strategy="quality",
        fallback=("gemini",),
        ignored=(Dropped("webhook_url", "410"),),
        given=("seed",),
    ),
    model="m",
    provider="bedrock",
    seed=7,
    created_at=1.5,
    plan=("m", "n"),
    prompt="short",
    rewriting=Rewriting("llm", "e", 0.5, ("w",), 0.001, 0.002),
    status="failed",
    fence=2,
    lease_until=3.0,
    started_at=2.0,
    finished_at=4.0,
    images=(
        StoredImage("i", "i.png", "k", "0190", "default", "bedrock", 1, 2, "png", 3, 4, 5.0, components={"a": None}),
    ),
    attempts=(
        Attempt("bedrock", "m", "failed", Failure.TIMEOUT, 1.0, 0.04, paid="yes"),
        Attempt("gemini", "n", "success", paid="no"),
    ),
    dropped=(Dropped("steps", "no"),),
    sizing=Sizing("1x1", "2x2", "enlarged"),
    warnings=("old",),
    wrong_field="prompt",
    error=JobError("providers_failed", "no ü"),
    expires_at=9,
)
DOCUMENT: Final = (
    '{"tenant":"acme","id":"0190","request":{"prompt":"a fox","negative_prompt":null,"provider":"auto","model":null,'
    '"width":null,"height":null,"steps":null,"cfg":null,"seed":null,"n":1,"format":"png","project_id":"default",'
    '"reference_key":null,"reference_type":"","reference_field":"image","task":"background","padding":null,'
    '"cut_out":false,"strategy":"quality","fallback":["gemini"],"optimize_prompt":true,"cache":false,'
    '"webhook_url":null,"labels":{},"ignored":[{"name":"webhook_url","reason":"410"}],"warnings":[],"given":["seed"]'
    '},"model":"m","provider":"bedrock","seed":7,"created_at":1.5,"request_id":"","plan":["m","n"],'
    '"prompt":"short","rewriting":{"method":"llm","engine":"e","seconds":0.5,"warnings":["w"],"cost_usd":0.001,'
    '"lost_usd":0.002},"cache_key":null,"cached":false,"started_at":2.0,"finished_at":4.0,"images":[{"id":"i",'
    '"name":"i.png","key":"k","job_id":"0190","project_id":"default","provider":"bedrock","width":1,"height":2,'
    '"format":"png","bytes":3,"seed":4,"created_at":5.0,"mask_key":"","confidence":null,"components":{"a":null}}],'
    '"attempts":[{"provider":"bedrock","model":"m","outcome":"failed","error_code":"timeout","duration":1.0,'
    '"cost_usd":0.04,"image":0,"started_at":0.0,"ticket":null,"paid":"yes"},{"provider":"gemini","model":"n",'
    '"outcome":"success","error_code":null,"duration":0.0,"cost_usd":0.0,"image":0,"started_at":0.0,"ticket":null,'
    '"paid":"no"}],"dropped":[{"name":"steps","reason":"no"}],"sizing":{"generated":"1x1","returned":"2x2",'
    '"by":"enlarged"},"warnings":["old"],"wrong_field":"prompt","cutout":null,"error":{"code":"providers_failed",'
    '"message":"no ü"},"expires_at":9,"reserved_microusd":0,"reserved_images":0,"released":0}'
)


def test_a_record_is_written_to_the_byte_and_read_back() -> None:
    item = to_item(JOB)
    assert item["doc"]["S"] == DOCUMENT
    assert (item["status"], item["status_key"]) == ({"S": "failed"}, {"S": "acme#failed"})
    assert job_of(plain(item)) == JOB
    assert type(job_of(plain(item)).attempts[0].error_code) is Failure


def test_a_record_from_before_some_fields_were_written_is_read() -> None:
    document = json.loads(DOCUMENT)
    for newer in ("rewriting", "wrong_field", "cutout", "error", "sizing", "released"):
        del document[newer]
    del document["request"]["ignored"], document["attempts"][0]["paid"]
    document["request"]["attachment"] = None  # which is written no more
    job = job_of(plain({**to_item(JOB), "doc": {"S": json.dumps(document)}}))
    assert (job.rewriting, job.error, job.sizing, job.request.ignored) == (None, None, None, ())
    assert (job.attempts[0].paid, job.attempts[0].unsure) == ("unknown", False)


def test_a_prompts_cost_was_not_always_written() -> None:
    document = json.loads(DOCUMENT)
    del document["rewriting"]["cost_usd"], document["rewriting"]["lost_usd"]
    job = job_of(plain({**to_item(JOB), "doc": {"S": json.dumps(document)}}))
    assert job.rewriting == Rewriting("llm", "e", 0.5, ("w",))
