"""Tests of the doctor: its words, and what it finds at real servers."""
