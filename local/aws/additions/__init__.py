"""What ministack lacks for a release, added by wrapping its functions at start-up.

Each module adds one thing and has an `install()`; none changes ministack's files.
"""
