"""Everything that must hold; `make test` runs it all, `make unit` the part without sockets."""
