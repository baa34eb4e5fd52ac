"""Providers that are not there: each speaks one dialect over a socket, checks what it is sent against the types of
the official SDK, and answers the scene that the prompt names.

A dialect's module has

    MODEL             the name of its model
    KEY, said_key     the key it wants, and the one a request has
    TOO_LONG          what it says of a prompt that does not fit
    read(path, body)  what is asked for, as `Seen`; raises `Wrong` where it is not what the dialect says
    whole(answer, seen), stream(answer, seen)
    error(status, kind), error_event()
"""

import json
from dataclasses import dataclass, field


class Wrong(Exception):
    """A request that the provider would refuse, or that is not what the scene asks."""


@dataclass
class Seen:
    """A request in no dialect's words. `said` is flat: (role, kind, ...)."""

    model: str = ""
    # What ids of the answer are made of.
    answer: str = "of_the_mock"
    stream: bool = False
    system: str = ""
    said: list = field(default_factory=list)
    tools: list = field(default_factory=list)
    choice: str = ""
    schema: dict | None = None
    reasons: bool = False
    limit: int | None = None
    temperature: float | None = None
    stop: list = field(default_factory=list)
    # Whether what the model thinks is to be shown.
    shown: bool = False
    # Results of tools that are said to be failures, by a field.
    failed: list = field(default_factory=list)
    # Names of tools by the ids of their calls.
    called: dict = field(default_factory=dict)


def need(condition, what):
    if not condition:
        raise Wrong(what)


def arguments(text):
    value = json.loads(text)
    need(isinstance(value, dict), f"arguments that are no object: {text}")
    return value


def data_url(url):
    head, data = url.split(";base64,", 1)
    return head.removeprefix("data:"), data


def event(data, name=None):
    """A server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return ((f"event: {name}\n" if name else "") + f"data: {text}\n\n").encode()
