"""The ports' real implementations: DynamoDB, S3, SQS, Lambda, Pillow."""
