"""Webhook events: announced, delivered, sent again."""
