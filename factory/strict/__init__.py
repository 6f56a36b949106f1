"""Read YAML, TOML and JSON bytes strictly to values with places. Knows no contract."""
