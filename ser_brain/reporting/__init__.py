"""Results as their reader sees them: tables, drawings and the report page."""
