"""The chassis of an HTTP service: what every one of ours does the same way."""
