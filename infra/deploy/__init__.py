"""Contains the deployment commands: checks of the account, Node, and the CDK command line."""
