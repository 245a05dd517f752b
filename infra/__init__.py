"""Defines the deployment in CDK. Importing it points jsii to Node, which must precede the import of `aws_cdk`."""

from infra.deploy.node import use_packaged_node

use_packaged_node()
