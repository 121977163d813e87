"""Presentation of results: tables, drawings and the report page."""
