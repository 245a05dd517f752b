"""What is deployed, in CDK. Importing it tells jsii where Node is, which must be known before `aws_cdk` is imported."""

from infra.deploy.node import use_packaged_node

use_packaged_node()
