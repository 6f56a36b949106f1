"""The one door to Git: objects, views of a tree, the scanner, bundle files, the repository."""
