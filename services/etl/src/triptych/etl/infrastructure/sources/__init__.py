"""The sources that come with the service."""
