"""The service: what runs inside the deployed functions."""

VERSION = "0.1.0"
USER_AGENT = f"image-api/{VERSION}"  # on every call out: edges in front of services challenge a caller without one
