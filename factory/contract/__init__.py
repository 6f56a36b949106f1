"""Read task.yml, acceptance.yml and factory.toml strictly into TaskPack and Config."""
