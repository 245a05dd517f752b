"""The address that people use, with the limits and answers of API Gateway."""
