"""Tests of moving mailboxes in and out."""
