"""Questions to name servers, for the sending side."""
