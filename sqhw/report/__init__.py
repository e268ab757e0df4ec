"""Results for humans: tables, plots and pages."""
