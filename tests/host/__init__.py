"""The local Functions host: the worker library, queues, triggers and the web entrance."""
