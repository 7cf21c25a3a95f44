"""The transforms that come with the service and are more than a query."""
