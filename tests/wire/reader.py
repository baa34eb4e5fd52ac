"""A recorded request read back by openapi-core, and compared with the arguments it came from."""

import base64
import datetime
import json
import re
import uuid
from collections import Counter
from urllib.parse import parse_qsl, unquote, urlsplit

import documents
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

CONFIG = Config(spec_validator_cls=None)


class Request:
    """What openapi-core asks of a request."""

    def __init__(self, recorded, base, path):
        self.method, target, headers, self.body = recorded
        url = urlsplit(target)
        self.host_url = f"http://{headers['Host']}"
        self.path = url.path
        self.method = self.method.lower()
        self.content_type = headers.get("Content-Type", "")
        self.query = url.query
        cookies = [pair.split("=", 1) for pair in headers.get("Cookie", "").split("; ") if "=" in pair]
        regex, names = documents.pattern(path)
        matched = regex.match(url.path.removeprefix(base)) if url.path.startswith(base) else None
        self.variables = dict(zip(names, map(unquote, matched.groups()))) if matched else None
        pairs = parse_qsl(url.query, keep_blank_values=True)
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(pairs),
            header=Headers(list(headers.items())),
            cookie=ImmutableMultiDict([(unquote(k), unquote(v)) for k, v in cookies]),
            path=self.variables or {},
        )


def read(mini, recorded, base, path, declared, places, arguments):
    """What is wrong with a request, in words that stay the same from run to run."""
    request = Request(recorded, base, path)
    if request.variables is None:
        return [f"the path is not that of the operation: {request.path}"]
    # The finder of paths takes a decoded `/` for another segment: the operation stands at a path of
    # its own, and the variables are taken from the real one.
    request.path = f"{base}/operation"
    try:
        result = OpenAPI.from_dict(mini, config=CONFIG).unmarshal_request(request)
    except Exception as error:
        return [f"openapi-core: {said(error)}"]
    return list(differences(result, declared, places, arguments)) + list(body(request, places, arguments))


def said(error):
    cause = error.__cause__ or error
    text = f"{type(cause).__name__}: {cause}"
    for inner in getattr(cause, "schema_errors", None) or []:
        text += f"; {inner.message}"
    text = re.sub(r"127\.0\.0\.1:\d+", "upstream", text)
    text = re.sub(r"causeway-[0-9a-f]{32}", "boundary", text)
    return re.sub(r"\s+", " ", text)[:240]


def differences(result, declared, places, arguments):
    for argument, parameter in places.items():
        if argument not in arguments or parameter["in"] not in ("path", "query", "header", "cookie"):
            continue
        values = getattr(result.parameters, parameter["in"])
        given = arguments[argument]
        if parameter["name"] not in values:
            if given not in (None, [], {}, ""):
                yield f"{parameter['in']} {parameter['name']} was not read"
        elif not same(given, values[parameter["name"]]):
            yield f"{parameter['in']} {parameter['name']} was read as {str(values[parameter['name']])[:80]!r}"


def same(given, read):
    """Whether two values are one; what openapi-core makes of a format is believed."""
    if isinstance(read, (datetime.date, datetime.datetime, uuid.UUID, bytes)):
        return True
    if isinstance(given, dict) and isinstance(read, dict):
        return set(given) == set(read) and all(same(given[key], read[key]) for key in given)
    if isinstance(given, list) and isinstance(read, (list, tuple)):
        return len(given) == len(read) and all(map(same, given, read))
    if isinstance(given, (dict, list)):
        return str(read) == json.dumps(given) or json.dumps(given, separators=(",", ":")) == read
    if isinstance(given, bool) and isinstance(read, str):
        return str(given).lower() == read
    return given == read or str(given) == str(read) or given is None


def body(request, places, arguments):
    """The leaves of the body are those of the arguments that are no parameters."""
    rest = {k: v for k, v in arguments.items() if k not in places and not k.startswith("content_type")}
    essence = request.content_type.split(";")[0]
    if not rest and not request.body:
        return
    if essence.endswith("json"):
        try:
            sent = json.loads(request.body)
        except ValueError as error:
            yield f"the body is no JSON: {error}"
            return
        whole = next(iter(rest.values())) if len(rest) == 1 and "body" in next(iter(rest)) else rest
        if sent not in (whole, rest) and leaves(sent) != leaves(rest):
            yield "the body does not hold what was given"
    elif essence == "application/octet-stream" or essence.startswith(("image/", "audio/", "application/zip")):
        given = next(iter(rest.values()))
        given = given["data"] if isinstance(given, dict) else given
        if base64.b64decode(given) != request.body:
            yield "the bytes of the body are not those that were given"


def leaves(value):
    if isinstance(value, dict):
        return sum((leaves(member) for member in value.values()), Counter())
    if isinstance(value, list):
        return sum((leaves(member) for member in value), Counter())
    return Counter([json.dumps(value)])
