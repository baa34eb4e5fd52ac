"""Callers that know nothing of Causeway: the official SDKs, each in its dialect.

A dialect's module has `Conversation(url, key, model, scene, stream)` with `ask(parts)`, which sends all that was said
before, in the SDK's own objects, and what is said now. Its `connect(url, key)` and `answer()`, which sends, keeps and
returns what is answered, are the SDK of PyPI's; npm.py has the same conversations with those of npm.
"""

from dataclasses import dataclass, field

from pydantic import BaseModel


class CannotSay(Exception):
    """The caller's protocol has no word for it."""


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, status, text):
        super().__init__(f"{status} {text}")


@dataclass
class Got:
    """An answer in no dialect's words."""

    thought: str = ""
    text: str = ""
    calls: list = field(default_factory=list)
    stop: str = ""
    refusal: str = ""
    usage: tuple = ()
    model: str = ""


def strict(value, allowed=(), path="answer"):
    """What came is what the SDK's types say: no field more, and none of another kind."""
    if isinstance(value, BaseModel):
        extra = set(value.model_extra or {}) - set(allowed)
        assert not extra, f"{path}: unknown fields {extra}"
        if path == "answer":
            raw = value.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False)
            type(value).model_validate(raw)
        for name in value.model_fields_set:
            strict(getattr(value, name, None), allowed, f"{path}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            strict(item, allowed, f"{path}[{at}]")
