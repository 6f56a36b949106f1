"""task.yml, acceptance.yml and factory.toml to TaskPack and Config, read strictly."""
