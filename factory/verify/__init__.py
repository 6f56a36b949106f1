"""Check evidence independently: evidence in, findings out, by rules that share nothing with its
writer.

Rule: it derives again and compares; it believes no document because another one says so. What
cannot be derived again is a gap with its reason, never a success. Imports pure values and readers
of bytes (strict JSON, the log); a contract of the architecture linter forbids it everything else.
"""
