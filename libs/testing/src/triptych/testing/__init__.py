"""What the tests of all packages share. No service depends on it."""
