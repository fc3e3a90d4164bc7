"""Tests of the presets: tables of entries, and real servers."""
