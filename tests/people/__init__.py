"""Tests of people who leave and move."""
