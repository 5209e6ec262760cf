"""Mirrors of records."""
