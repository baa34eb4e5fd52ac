"""Documents as they are, read by code that is not ours, and one operation of each at a time."""

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import quote

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


class Loader(yaml.CSafeLoader):
    """YAML 1.2 core schema, near enough: `no` and dates are texts."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(("timestamp", "bool"))]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def paths():
    """The documents: ours, and the real ones where they lie beside the checkout."""
    folders = [HERE / "specs", ROOT / "specs-examples", ROOT.parent / "shared" / "specs"]
    for folder in folders:
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            if path.suffix in (".yaml", ".yml", ".json") and path.name != "manifest.json":
                yield path


def load(path):
    text = path.read_text()
    document = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader)
    return words(document)


def words(value):
    """Keys as texts: a status is a number in YAML."""
    if isinstance(value, dict):
        return {str(key): words(member) for key, member in value.items()}
    return [words(member) for member in value] if isinstance(value, list) else value


def as_3_0(document):
    """Swagger 2.0 through npm swagger2openapi."""
    done = subprocess.run(
        ["node", str(HERE / "convert.mjs")], input=json.dumps(document) + "\n", capture_output=True, text=True
    )
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[-1] if done.stderr else "not converted")
    return json.loads(done.stdout)


def resolve(document, value):
    for _ in range(16):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            break
        at = document
        for token in value["$ref"].removeprefix("#/").split("/"):
            at = at.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
        if at is None:
            return {}
        value = at
    return value


def operations(document):
    """Key (method and path, parameters by position) to path, method, path item and operation; and how
    many there are, those with the same key included."""
    found, count = {}, 0
    for path, item in (document.get("paths") or {}).items():
        if path.startswith("x-"):
            continue
        own = item if isinstance(item, dict) else {}
        item = {**resolve(document, own), **{k: v for k, v in own.items() if k != "$ref"}}
        methods = {key: value for key, value in item.items() if key.lower() in METHODS}
        methods.update(item.get("additionalOperations") or {})
        for method, operation in methods.items():
            key = f"{method.upper() if method.lower() in METHODS else method} {re.sub(r'{[^}]*}', '{}', path.strip())}"
            found.setdefault(key, (path, method, item, operation))
            count += 1
    return found, count


def parameters(document, item, operation):
    """The parameters of an operation, those of its path included."""
    merged = {}
    for listed in (item.get("parameters"), operation.get("parameters")):
        for parameter in listed if isinstance(listed, list) else []:
            parameter = resolve(document, parameter)
            if isinstance(parameter, dict) and "name" in parameter and "in" in parameter:
                merged[(parameter["name"], parameter["in"])] = parameter
    return list(merged.values())


def alone(document, server, path, method, operation, declared):
    """A document of one operation, without security, at one server."""
    operation = {k: v for k, v in operation.items() if k not in ("security", "servers", "callbacks")}
    operation["parameters"] = declared
    kept = {k: without_formats(v) for k, v in document.items() if k in ("openapi", "components", "$self", "jsonSchemaDialect")}
    kept["info"] = {"title": "T", "version": "1"}
    # Only what something refers to, and nothing whose braces openapi-core stumbles over.
    referred = '"#/paths/' in json.dumps(document)
    paths = {k: v for k, v in document["paths"].items() if referred and k.count("{") == k.count("}")}
    if not str(kept.get("openapi", "")).startswith("3.0"):
        # openapi-core knows nothing newer.
        kept["openapi"] = "3.1.0"
    for key in ("operationId", "responses"):
        operation.pop(key, None)
    operation["responses"] = {"default": {"description": ""}}
    operation = without_formats(operation)
    return {**kept, "servers": [{"url": server}], "paths": {**paths, "/operation": {method: operation}}}


def without_formats(value):
    """openapi-core leaves out a parameter whose format it does not know."""
    if isinstance(value, dict):
        known = ("binary", "byte")
        return {k: without_formats(v) for k, v in value.items() if k != "format" or not isinstance(v, str) or v in known}
    return [without_formats(member) for member in value] if isinstance(value, list) else value


def pattern(path):
    """What a path looks like on the wire."""
    path = path.split("?")[0].split("#")[0].strip()
    path = path if path.startswith("/") else "/" + path
    parts = re.split(r"({[^}]*})", path)
    names = [part[1:-1] for part in parts if part.startswith("{")]
    regex = "".join("([^/]*)" if part.startswith("{") else re.escape(quote(part, safe="/:@!$&'()*+,;=~%[]")) for part in parts)
    return re.compile(f"^{regex}$"), names
