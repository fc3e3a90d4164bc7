"""The web door and the control socket."""
