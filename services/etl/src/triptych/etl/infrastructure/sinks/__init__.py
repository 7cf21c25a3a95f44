"""The sinks that come with the service."""
