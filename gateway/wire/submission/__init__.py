"""What a submission server looks at, takes out of and adds to a message's header (RFC 6409)."""
