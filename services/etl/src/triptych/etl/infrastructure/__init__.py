"""The adapters: plugins, engines, the event log, the lake."""
