"""The developer's own command line: the demo, the tests, the checks of the repository itself."""
