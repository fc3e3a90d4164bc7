"""Tests of the bounded MIME scanner and its renderers."""
