"""The configuration: `load_config(path)` and the frozen dataclasses it returns."""
