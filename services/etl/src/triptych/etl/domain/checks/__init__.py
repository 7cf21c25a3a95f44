"""The checks that come with the service."""
