"""Access the file system, locks and the clock: atomic, durable, through no link."""
