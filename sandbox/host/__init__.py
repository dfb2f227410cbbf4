"""A local Azure Functions host: the published Python worker library with triggers around it.

`worker` calls the library; `queues` and `blobs` hold what is stored, `bindings` reads and writes
it; `listening` takes messages, `timers` ring, `routes` are where functions are on the web.
`triggers` connects these, `http` is the web entrance and `command` the command line.
"""
