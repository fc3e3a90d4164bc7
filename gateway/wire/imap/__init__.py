"""IMAP on the wire: octets to typed commands and back, sans IO.

``reader`` and ``events``: what a door is driven by. ``commands``, ``fetch_items``, ``search``,
``sequence``: what it is given. ``names``, ``dates``, ``flags``, ``listmatch``: the values in them.
``replies`` and ``fetch_replies``: what it answers. The rest (``lexer``, ``parser``, ``discard``,
``search_parse``, ``fetch_parse``, ``mutf7``) serves these.
"""
