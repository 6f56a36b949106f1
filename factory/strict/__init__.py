"""Strict readers: YAML, TOML and JSON bytes to values with places. Knows no contract."""
