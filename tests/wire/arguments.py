"""Arguments for an input schema: deterministic, valid, and of several kinds.

`required` has only what is asked for; `all` has everything, nested; `unicode` has texts of every
script and every delimiter; `boundary` has the shortest, longest, smallest, largest and empty.
"""

import base64
import random
import re

import rstr
from jsonschema import Draft202012Validator

KINDS = ("required", "all", "unicode", "boundary")
DEPTH_MAX = 5
TRIES = 6

FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T23:59:60Z".replace(":60Z", ":59Z"),
    "time": "23:59:59Z",
    "duration": "P1DT2H",
    "email": "ada@example.com",
    "idn-email": "ada@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/a?b=c#d",
    "url": "https://example.com/a?b=c#d",
    "iri": "https://example.com/",
    "uri-reference": "/a/b",
    "uuid": "00112233-4455-6677-8899-aabbccddeeff",
    "json-pointer": "/a/0",
    "regex": "^a$",
}


UNICODE = "ünï 文字 \U0001f600 /?#[]@!$&'()*+;=%41 \"<>\\^`{|}"
# Arguments that Causeway adds for itself, and that never reach an upstream.
OURS = ("_fields",)
HEADER = "a b~!@$()*:'-._"


class Generator:
    def __init__(self, schema, kind, places):
        self.root = schema
        self.kind = kind
        # Where an argument goes, for those that are parameters.
        self.places = places
        self.place = None
        self.in_array = False
        self.chosen = None
        self.validator = Draft202012Validator(schema)

    def arguments(self):
        """Valid arguments, or None where none were found."""
        for seed in range(TRIES):
            self.random = random.Random(seed)
            self.regex = rstr.Rstr(self.random)
            self.choice = seed
            arguments = {}
            required = self.root.get("required", [])
            properties = self.root.get("properties", {})
            self.chosen = None
            choice = properties.get("content_type", {})
            if "default" in choice:
                self.chosen = choice["default"] if self.kind == "required" else self.value(choice, 0)
            for name, schema in properties.items():
                if name in OURS and name not in self.places:
                    continue
                if name in required or self.kind != "required":
                    self.place = self.places.get(name)
                    arguments[name] = self.value(schema, 0, name)
            if self.validator.is_valid(arguments):
                return arguments
            # What an optional argument asks for may be what nothing can be.
            for name in list(arguments):
                schema = {**self.root["properties"][name], "$defs": self.root.get("$defs", {})}
                if name not in required and not Draft202012Validator(schema).is_valid(arguments[name]):
                    del arguments[name]
            if self.validator.is_valid(arguments):
                return arguments
        return None

    def resolve(self, schema):
        for _ in range(16):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            at = self.root
            for token in schema["$ref"].removeprefix("#/").split("/"):
                at = at[token.replace("~1", "/").replace("~0", "~")]
            schema = {**at, **{k: v for k, v in schema.items() if k != "$ref"}}
        return schema if isinstance(schema, dict) else {}

    def value(self, schema, depth, name=""):
        schema = self.resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            values = [v for v in schema["enum"] if v is not None] or schema["enum"]
            return values[-1 if self.kind == "boundary" else self.choice % len(values)]
        for key in ("oneOf", "anyOf"):
            if schema.get(key):
                options = [o for o in schema[key] if self.resolve(o).get("type") != "null"]
                # The body of a media type that was chosen is the one of that title.
                options = [o for o in options if self.resolve(o).get("title") == self.chosen] or options
                rest = {k: v for k, v in schema.items() if k != key}
                picked = options[(self.choice + (self.kind == "all")) % len(options)]
                picked = self.resolve(picked)
                both = {**rest, **picked}
                if "properties" in rest and "properties" in picked:
                    both["properties"] = {**rest["properties"], **picked["properties"]}
                    both["required"] = rest.get("required", []) + picked.get("required", [])
                return self.value(both, depth + 1, name)
        if schema.get("allOf"):
            both = {k: v for k, v in schema.items() if k != "allOf"}
            for part in schema["allOf"]:
                part = self.resolve(part)
                properties = {**both.get("properties", {}), **part.get("properties", {})}
                required = both.get("required", []) + part.get("required", [])
                both = {**part, **both, "properties": properties, "required": required}
                if not properties:
                    del both["properties"]
            return self.value(both, depth + 1, name)
        return self.of_type(schema, depth, name)

    def of_type(self, schema, depth, name):
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else list(types)
        if not types:
            types = ["object"] if "properties" in schema else ["array"] if "items" in schema else ["string"]
        if self.kind == "boundary" and "null" in types and depth:
            return None
        types = [t for t in types if t != "null"] or types
        kind = types[self.choice % len(types)]
        if kind == "object":
            return self.object(schema, depth)
        if kind == "array":
            return self.array(schema, depth, name)
        if kind in ("integer", "number"):
            return self.number(schema, kind)
        if kind == "boolean":
            return self.kind != "boundary"
        if kind == "null":
            return None
        return self.text(schema, name)

    def object(self, schema, depth):
        out = {}
        required = schema.get("required", [])
        if self.place == "path" and not required and depth == 0:
            required = list(schema.get("properties", {}))
        for name, member in schema.get("properties", {}).items():
            wanted = self.kind != "required" and depth < DEPTH_MAX
            if name in required or wanted:
                out[name] = self.value(member, depth + 1, name)
        more = schema.get("additionalProperties")
        at_least = schema.get("minProperties", 0)
        if isinstance(more, dict) and self.kind in ("all", "unicode") and depth < DEPTH_MAX or at_least > len(out):
            for index in range(max(1, at_least - len(out))):
                out[f"key{index}"] = self.value(more if isinstance(more, dict) else {}, depth + 1)
        return out

    def array(self, schema, depth, name):
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", 1_000)
        count = {"required": max(1, least), "all": 2, "unicode": 2, "boundary": least}[self.kind]
        if depth >= DEPTH_MAX:
            count = least
        # An empty array as an argument of its own is an absent one.
        if self.kind == "boundary" and depth == 0:
            count = max(count, 1)
        items = schema.get("items", {})
        count = max(least, min(count, most))
        outer, self.in_array = self.in_array, True
        values = [self.value(items, depth + 1, name) for _ in range(count)]
        self.in_array = outer
        if schema.get("uniqueItems") and len(values) > 1:
            values = [v for i, v in enumerate(values) if v not in values[:i]]
            if len(values) < least and isinstance(self.resolve(items).get("enum"), list):
                values = self.resolve(items)["enum"][:least]
        return values

    def number(self, schema, kind):
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        step = schema.get("multipleOf", 1 if kind == "integer" else 0.5)
        if low is not None and "exclusiveMinimum" in schema and low == schema["exclusiveMinimum"]:
            low += step
        if high is not None and "exclusiveMaximum" in schema and high == schema["exclusiveMaximum"]:
            high -= step
        narrow = schema.get("format") == "int32"
        if self.kind == "boundary":
            value = high if high is not None else low
            if value is None:
                value = 2147483647 if narrow else 9007199254740993 if kind == "integer" else -0.125
        else:
            value = low if low is not None else min(3, high) if high is not None else 3
        value = int(value) if kind == "integer" or float(value).is_integer() else value
        if "multipleOf" in schema:
            value = step * max(1, int(value // step))
        return value

    def text(self, schema, name):
        if "pattern" in schema:
            try:
                return self.pattern(schema)
            except Exception:
                return "a"
        if schema.get("contentEncoding") == "base64":
            return base64.b64encode(b"\x00\xffbytes").decode()
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        if "xml" in schema.get("contentMediaType", ""):
            return "<a>1</a>"
        if name == "contentType":
            return "text/plain"
        least, most = schema.get("minLength", 0), schema.get("maxLength", 1_000_000)
        if self.kind == "boundary":
            return "z" * max(least, 1 if self.place == "path" else 0)
        text = "text" if self.place in ("header", "cookie") else f"{name} text"
        if self.kind == "unicode":
            text = HEADER if self.place in ("header", "cookie") else UNICODE
            # What divides the items of some style is kept out of them: no reader can tell it apart.
            if self.in_array and self.place:
                text = re.sub(r"[| ,.;=&]", "_", text)
        text = text[:most]
        return text + "x" * (least - len(text))

    def pattern(self, schema):
        pattern = schema["pattern"]
        most = schema.get("maxLength", 200)
        for _ in range(60):
            text = self.regex.xeger(pattern)
            if re.search(pattern, text) and schema.get("minLength", 0) <= len(text) <= most:
                if text.isascii() and text.isprintable() and text.strip() == text and text not in (".", "..", ""):
                    return text
        return text[:most]
