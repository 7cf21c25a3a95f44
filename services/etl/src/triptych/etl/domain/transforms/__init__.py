"""The transforms that come with the service."""
