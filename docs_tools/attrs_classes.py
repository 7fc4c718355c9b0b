"""Tells the generator of the reference how a class with fields is made: by these, which its docstring describes.

The generator reads the source and knows dataclasses alone. Used by `zensical.toml`; imports griffe.
"""

from typing import Any

from griffe import (
    Attribute,
    Class,
    Expr,
    ExprCall,
    ExprKeyword,
    Extension,
    Function,
    Module,
    Parameter,
    ParameterKind,
    Parameters,
)

__all__ = ["AttrsClasses"]


class AttrsClasses(Extension):
    """Gives classes of attrs, and named tuples, the ``__init__`` they will have; a field is listed there alone."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:  # noqa: ANN401  # griffe's signature.
        """Look through a package that was read."""
        for module in _modules(pkg):
            for found in module.classes.values():
                if not found.is_alias and _is_attrs(found) and "__init__" not in found.members:
                    _set_init(found)


def _modules(module: Module) -> list[Module]:
    inner = [found for found in module.modules.values() if not found.is_alias]
    return [module, *(deeper for found in inner for deeper in _modules(found))]


def _is_attrs(found: Class) -> bool:
    paths = (one.value.canonical_path for one in found.decorators if isinstance(one.value, Expr))
    return any(path.startswith("attrs.") for path in paths) or "NamedTuple" in map(str, found.bases)


def _set_init(found: Class) -> None:
    fields = {
        name: field for base in reversed(found.mro()) if _is_attrs(base) for name, field in _fields(base).items()
    } | _fields(found)
    made = Parameters(Parameter("self", kind=ParameterKind.positional_or_keyword), *map(_parameter, fields.values()))
    for name in _fields(found):
        found.del_member(name)
    found.members.pop("__attrs_post_init__", None)
    found.set_member("__init__", Function("__init__", parameters=made, returns="None", parent=found))


def _fields(found: Class) -> dict[str, Attribute]:
    """Return the fields that are given to ``__init__``, in their order."""
    return {
        name: member
        for name, member in found.members.items()
        if isinstance(member, Attribute)
        and member.annotation is not None
        and "property" not in member.labels
        and str(_options(member).get("init")) != "False"
    }


def _parameter(field: Attribute) -> Parameter:
    options = _options(field)
    if "factory" in options:
        default: object = f"{options['factory']}()"
    elif _is_field(field):
        default = options.get("default")
    else:
        default = field.value
    only = str(options.get("kw_only")) == "True"
    kind = ParameterKind.keyword_only if only else ParameterKind.positional_or_keyword
    name = str(options.get("alias", field.name)).strip("'\"").lstrip("_")
    return Parameter(name, annotation=field.annotation, kind=kind, default=default)  # type: ignore[arg-type]  # As read.


def _options(member: Attribute) -> dict[str, object]:
    """Return what an attribute's ``field(…)`` was given by name."""
    if not _is_field(member) or not isinstance(member.value, ExprCall):
        return {}
    return {one.name: one.value for one in member.value.arguments if isinstance(one, ExprKeyword)}


def _is_field(member: Attribute) -> bool:
    return isinstance(member.value, ExprCall) and member.value.canonical_path in {"attrs.field", "attr.ib"}
