"""The deployment as commands: checks of the account, Node, and the CDK command line."""
