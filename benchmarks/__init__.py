"""Measured tables, one command each; nothing here is part of the installed package."""
