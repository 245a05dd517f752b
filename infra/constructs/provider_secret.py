"""Defines the secret with the keys of external providers, filled in by hand after the first deployment."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import SECRETS


class ProviderSecret(Construct):
    """A JSON object of provider keys; a provider without a key in it is not configured."""

    def __init__(self, scope: Construct, id: str, *, protected: bool) -> None:
        super().__init__(scope, id)
        self.secret = secretsmanager.Secret(
            self,
            "Secret",
            description=f"JSON object of image provider keys: {', '.join(sorted(SECRETS))}",
            # never anything else: CloudFormation would overwrite the keys filled in by hand with a changed value
            secret_string_value=cdk.SecretValue.unsafe_plain_text("{}"),
            removal_policy=cdk.RemovalPolicy.RETAIN if protected else cdk.RemovalPolicy.DESTROY,
        )
        reason = "These keys are issued by other companies, which offer no call that would rotate them."
        acknowledge(self.secret, {"AwsSolutions-SMG4": reason})
