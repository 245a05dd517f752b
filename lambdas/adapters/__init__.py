"""Implements the ports with DynamoDB, S3, SQS, Lambda and Pillow."""
