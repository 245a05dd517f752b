"""A minimal service of three functions with its templates, to test the local run without the real service."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

API = """
import base64, json, os, time

def handler(event, context):
    request_id = event["requestContext"]["requestId"]
    path, query = event["path"], event["queryStringParameters"] or {}
    emf = {"Namespace": "ImageApi", "Dimensions": [["service"]], "Metrics": [{"Name": "Requests", "Unit": "Count"}]}
    print(json.dumps({"_aws": {"CloudWatchMetrics": [emf]}, "service": "image-api", "Requests": 1}))
    headers = {"X-Request-Id": request_id, "Content-Type": "application/json"}
    if path == "/crash":
        raise ValueError("a secret detail")
    if path == "/die":
        os._exit(1)
    if path == "/malformed":
        return "nonsense"
    if path == "/sleep":
        time.sleep(float(query["s"]))
    if path == "/location":
        links = {"Location": "/prod/unified/jobs/1", "Link": "</prod/x>; rel=y"}
        return {"statusCode": 202, "headers": {**headers, **links}, "body": "{}"}
    if path == "/headers":
        given = {"WWW-Authenticate": "Bearer", "User-Agent": "f", "Via": "1.1 f", "Allow": "GET", "Retry-After": "1"}
        return {"statusCode": 401, "headers": {**headers, **given}, "body": "$context.path"}
    if path == "/bytes":
        body = base64.b64encode(b"\\x89" * int(query["n"])).decode()
        headers["Content-Type"] = "image/png"
        return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}
    if path == "/presign":
        import boto3
        from botocore.config import Config
        s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
        target = {"Bucket": os.environ["IMAGES_BUCKET"], "Key": query["key"]}
        s3.put_object(**target, Body=b"x" * int(query.get("n", 10)), ContentType="image/png")
        url = s3.generate_presigned_url("get_object", target, ExpiresIn=int(query.get("ttl", 300)))
        return {"statusCode": 200, "headers": headers, "body": json.dumps({"url": url})}
    if path == "/forbidden":
        import boto3
        boto3.client("s3").delete_bucket(Bucket=os.environ["IMAGES_BUCKET"])
    if path == "/enqueue":
        import boto3
        boto3.client("sqs").send_message(QueueUrl=os.environ["JOBS_QUEUE_URL"], MessageBody=json.dumps(query))
    if path == "/env":
        return {"statusCode": 200, "headers": headers, "body": json.dumps(dict(os.environ))}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(event)}
"""

AUTHORIZER = """
import time

def handler(event, context):
    began = time.time()
    effect = "Deny" if event["path"] == "/denied" else "Allow"
    allow = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [allow]}
    return {"principalId": "x", "policyDocument": policy, "context": {"tenant": "t", "began": str(began)}}
"""

WORKER = """
import json, os, time

def handler(event, context):
    for record in event["Records"]:
        body = json.loads(record["body"])
        with open(body["mark"], "a") as mark:
            print("begun", file=mark, flush=True)
            time.sleep(float(body["s"]) if record["attributes"]["ApproximateReceiveCount"] == "1" else 0)
            print("ended", file=mark, flush=True)
    print(json.dumps({"job_id": "job-1"}))
    return {"batchItemFailures": []}
"""

ALLOWED = ["s3:GetObject", "s3:PutObject", "sqs:*"]


class Folders(TypedDict):
    templates: Path
    source: Path


def write(folder: Path) -> Folders:
    """Writes the service into `folder`; the keyword arguments of a Stack that runs it."""
    handlers = folder / "lambdas" / "handlers"
    handlers.mkdir(parents=True)
    for package in (handlers, handlers.parent):
        (package / "__init__.py").touch()
    for name, source in (("api", API), ("authorizer", AUTHORIZER), ("worker", WORKER)):
        (handlers / f"{name}.py").write_text(source, "utf-8")
    for name, template in (("data", data()), ("service", service())):
        (folder / f"{name}.json").write_text(json.dumps(template), "utf-8")
    return {"templates": folder, "source": folder / "lambdas"}


def data() -> dict[str, Any]:
    """A bucket that asks for TLS."""
    tls = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Principal": {"AWS": "*"},
        "Resource": [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk/version"}},
        "Rules": {"CheckBootstrapVersion": {"Assertions": []}},
        "Resources": {
            "Bucket": resource("S3::Bucket"),
            "Policy": resource("S3::BucketPolicy", Bucket=ref("Bucket"), PolicyDocument={"Statement": [tls]}),
            "CDKMetadata": resource("CDK::Metadata", Analytics="v2"),
        },
        "Outputs": {"Bucket": {"Value": ref("Bucket"), "Export": {"Name": "data:Bucket"}}},
    }


def service() -> dict[str, Any]:
    """A REST API with an authorizer, a queue with a worker, and one resource that the emulator lacks."""
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    allow = {
        "PolicyName": "p",
        "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": ALLOWED, "Resource": "*"}]},
    }
    root, proxy, health = {"Fn::GetAtt": ["Api", "RootResourceId"]}, ref("Proxy"), ref("Health")
    methods = {
        "Root": method(root, "CUSTOM"),
        "Any": method(proxy, "CUSTOM"),
        "Options": method(proxy, "NONE", "OPTIONS"),
        "Open": method(health, "NONE"),
    }
    errors = {
        "Timeout": gateway_response("INTEGRATION_TIMEOUT", 504, "timeout"),
        "Failure": gateway_response("INTEGRATION_FAILURE", 502, "integration_failure"),
        "TooLarge": gateway_response("REQUEST_TOO_LARGE", 413, "too_large"),
        "Denied": gateway_response("ACCESS_DENIED", 401, "missing", {"WWW-Authenticate": "'Bearer'"}),
        "Busy": gateway_response("API_CONFIGURATION_ERROR", 503, "busy", {"Retry-After": "'5'"}),
        "Server": gateway_response("DEFAULT_5XX", 500, "internal"),
    }
    return {
        "Resources": {
            "Role": resource("IAM::Role", AssumeRolePolicyDocument={"Statement": [assume]}, Policies=[allow]),
            "ApiFunction": function("api", 29),
            "AuthorizerFunction": function("authorizer", 5),
            "WorkerFunction": function("worker", 900),
            "Queue": resource("SQS::Queue", VisibilityTimeout=5400),
            "Source": resource(
                "Lambda::EventSourceMapping",
                BatchSize=1,
                EventSourceArn={"Fn::GetAtt": ["Queue", "Arn"]},
                FunctionName=ref("WorkerFunction"),
                FunctionResponseTypes=["ReportBatchItemFailures"],
            ),
            "Api": resource("ApiGateway::RestApi", Name="api", BinaryMediaTypes=["*/*"]),
            "Authorizer": resource(
                "ApiGateway::Authorizer",
                Name="a",
                Type="REQUEST",
                RestApiId=ref("Api"),
                AuthorizerResultTtlInSeconds=0,
                AuthorizerUri=uri("AuthorizerFunction"),
            ),
            "Proxy": resource("ApiGateway::Resource", RestApiId=ref("Api"), ParentId=root, PathPart="{proxy+}"),
            "Health": resource("ApiGateway::Resource", RestApiId=ref("Api"), ParentId=root, PathPart="health"),
            **methods,
            **errors,
            "Deployment": {
                **resource("ApiGateway::Deployment", RestApiId=ref("Api")),
                "DependsOn": [*methods, *errors, "Model"],
            },
            "Stage": resource(
                "ApiGateway::Stage", StageName="prod", RestApiId=ref("Api"), DeploymentId=ref("Deployment")
            ),
            "Model": resource("SageMaker::Model"),
        }
    }


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def uri(function_name: str) -> dict[str, Any]:
    parts = ["arn:aws:apigateway:", ref("AWS::Region"), ":lambda:path/2015-03-31/functions/"]
    return {"Fn::Join": ["", [*parts, {"Fn::GetAtt": [function_name, "Arn"]}, "/invocations"]]}


def function(name: str, timeout: int) -> dict[str, Any]:
    variables = {"IMAGES_BUCKET": {"Fn::ImportValue": "data:Bucket"}, "DEPLOYED": "1"}
    if name == "api":
        variables["JOBS_QUEUE_URL"] = ref("Queue")
    return resource(
        "Lambda::Function",
        Code={"S3Bucket": "cdk-assets", "S3Key": "hash.zip"},
        Handler=f"lambdas.handlers.{name}.handler",
        Runtime="python3.13",
        Role={"Fn::GetAtt": ["Role", "Arn"]},
        Timeout=timeout,
        MemorySize=256,
        Environment={"Variables": variables},
    )


def method(parent: dict[str, Any], authorization: str, verb: str = "ANY") -> dict[str, Any]:
    integration = {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": uri("ApiFunction")}
    extra = {"AuthorizerId": ref("Authorizer")} if authorization == "CUSTOM" else {}
    return resource(
        "ApiGateway::Method",
        HttpMethod=verb,
        ResourceId=parent,
        RestApiId=ref("Api"),
        AuthorizationType=authorization,
        Integration=integration,
        **extra,
    )


def gateway_response(kind: str, status: int, code: str, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    body = {"title": code, "status": status, "detail": f"It was {code}.", "instance": "$context.path", "code": code}
    body["error"] = {"code": code}
    headers = {"Content-Type": "'application/problem+json'", "X-Request-Id": "context.requestId", **(more or {})}
    return resource(
        "ApiGateway::GatewayResponse",
        ResponseType=kind,
        StatusCode=str(status),
        RestApiId=ref("Api"),
        ResponseParameters={f"gatewayresponse.header.{name}": value for name, value in headers.items()},
        ResponseTemplates={"application/json": json.dumps(body)},
    )
