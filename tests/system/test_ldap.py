"""The people of a real OpenLDAP log in and get mail; its absence is never their fault."""

from __future__ import annotations
