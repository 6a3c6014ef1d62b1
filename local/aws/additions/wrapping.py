"""Replacing one function of a ministack module by another that can call the first."""

from collections.abc import Callable
from typing import Any


def wrap(module: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace `module.name` by `wrapper`, which gets the original as its first argument.

    ministack looks its functions up at each call, so this reaches every caller
    inside the module and those that reach it through the module.
    """
    original = getattr(module, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(module, name, wrapped)
