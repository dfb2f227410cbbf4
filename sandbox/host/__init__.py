"""A local Azure Functions host: the published Python worker library with triggers around it.

`worker` calls the library, `queues` holds the messages, `schedule` reads timer schedules,
`triggers` connects the three, `http` is the web entrance and `command` the command line.
"""
