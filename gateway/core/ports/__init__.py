"""The typing Protocols through which the floors meet; a file per port."""
