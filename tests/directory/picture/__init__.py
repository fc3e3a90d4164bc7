"""Tests of the picture of the directory."""
