"""Documents as people write and read them: YAML, or JSON."""

from __future__ import annotations

from typing import Any

import orjson
import yaml
from yaml.composer import Composer


class DocumentError(Exception):
    """The text is neither YAML nor JSON; the message says where."""


def parse(text: str) -> Any:
    """Raises DocumentError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # it makes plain values only, as SafeLoader does
    except yaml.YAMLError as error:
        raise DocumentError(str(error)) from error
    except RecursionError as error:
        raise DocumentError("it has too many lists and objects inside each other") from error


def to_yaml(document: Any) -> str:
    """In the order of the document; by libyaml, which takes a third of the time that Python does."""
    text: str = yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Loader(Composer, yaml.CSafeLoader):
    """Scanned by libyaml, which takes a quarter of the time that Python does. Composed in Python: nesting without end
    is a RecursionError here, and the end of the process in libyaml."""

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)
