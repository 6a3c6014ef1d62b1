"""The tutorial's application, from a change on `dev` to the answers that the public gets.

Real parts: MariaDB behind PlanetScale's branches, a git repository built by `buildspec.yml`, and containers that are
started from the image that was pushed.
"""
