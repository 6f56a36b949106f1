"""Give the version as a literal: asking the installed metadata would cost more than the whole
start.
"""

__version__ = "0.1.0"
