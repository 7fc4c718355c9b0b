"""Finds the pipeline that the operator names as ``MODULE:FUNCTION``.

Floor 6. Imports it as the operator's own program would, with the current directory on the path, and never hides why an
import failed.
"""

import sys
from collections.abc import Callable
from importlib import import_module

import click

from research_fsm.worker import Pipeline

__all__ = ["PIPELINE", "load"]


class _PipelineType(click.ParamType[Callable[..., object]]):
    """A callable, named ``MODULE:FUNCTION``."""

    name = "MODULE:FUNCTION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Pipeline:
        try:
            return load(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


PIPELINE = _PipelineType()
"""A pipeline on the command line."""


def load(name: str) -> Pipeline:
    """Import a pipeline.

    Args:
        name: ``MODULE:FUNCTION``; the function may be an attribute of an attribute.

    Raises:
        ValueError: It cannot be had, with the reason.
    """
    module_name, _, path = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise ValueError(f"{name!r} must be written MODULE:FUNCTION, such as my_research:run")
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    found: object = _module(module_name)
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"module {module_name!r} has no {path!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{name!r} is a {type(found).__name__}, not a function")  # noqa: TRY004  # Of the name typed.
    return found


def _module(name: str) -> object:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ValueError(
                f"there is no module {error.name!r} in this directory, nor among the installed packages"
            ) from None
        raise ValueError(f"module {name!r} could not be imported: {_words(error)}") from error
    except (Exception, SystemExit) as error:
        raise ValueError(f"module {name!r} could not be imported: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """Say what was raised, and where in a file that the operator can open."""
    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith("<frozen"):
            place = f" ({file}, line {traceback.tb_lineno})"
        traceback = traceback.tb_next
    return f"{type(error).__name__}: {error}{place}"
