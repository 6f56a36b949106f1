"""Render results for people and programs: terminal, Markdown, HTML, JUnit, SARIF."""
