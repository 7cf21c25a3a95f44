"""The adapters: databases, folders, files."""
