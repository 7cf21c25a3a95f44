"""The adapters: the metrics' files, the lake through DuckDB."""
