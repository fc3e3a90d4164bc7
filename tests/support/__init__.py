"""What several test rooms share: a loop without a reactor, transports, builders, real servers."""
