"""proto/openapi.yaml as the judge of what the gateway answers: status, headers, type and every field.

The document is read once per process; each schema's validator is made when it is first needed.
"""

import functools
import json
import re
from pathlib import Path

import jsonschema
import yaml

FILE = Path(__file__).resolve().parent.parent.parent / "proto" / "openapi.yaml"
ELSEWHERE = (404, 405, 413)  # what an address or a method that is not in the document is answered


def joined(schema):
    """A closed object in parts as one object, which is checked several times faster."""
    if schema.get("unevaluatedProperties") is not False:
        return schema
    fields = {name: field for part in schema["allOf"] for name, field in part["properties"].items()}
    return {"type": "object", "additionalProperties": False, "properties": fields, "required": [name for part in schema["allOf"] for name in part["required"]]}


class Document:
    def __init__(self, text):
        self.tree = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.targets = {}
        self.validators = {}
        self.operations = {(method.upper(), path): self.expand(operation) for path, item in self.tree["paths"].items()
                           for method, operation in item.items() if method != "parameters"}
        patterns = sorted(self.tree["paths"], key=lambda path: path.count("{"))  # what is literal wins
        self.paths = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in patterns]
        self.problem = self.expand({"$ref": "#/components/schemas/Problem"})

    def expand(self, node):
        """The node with what its references name in their places; nothing refers to itself."""
        if isinstance(node, list):
            return [self.expand(each) for each in node]
        if not isinstance(node, dict):
            return node
        target = node.get("$ref")
        if target is None:
            return joined({key: self.expand(value) for key, value in node.items()})
        if target not in self.targets:
            self.targets[target] = self.expand(functools.reduce(dict.__getitem__, target.removeprefix("#/").split("/"), self.tree))
        return self.targets[target]

    def find(self, method, path):
        for pattern, template in self.paths:
            if pattern.fullmatch(path):
                return self.operations.get(("GET" if method == "HEAD" else method, template))
        return None

    def misfit(self, schema, value):
        """What is wrong with a value; None: nothing."""
        if id(schema) not in self.validators:
            self.validators[id(schema)] = jsonschema.Draft202012Validator(schema)
        error = jsonschema.exceptions.best_match(self.validators[id(schema)].iter_errors(value))
        return error and f"{error.json_path}: {error.message[:300]}"

    def faults(self, method, target, answer, body=None):
        """Where the answer to a request is not what the document says; body: the request's, if it is JSON."""
        operation = self.find(method, target.partition("?")[0])
        if operation is None:
            is_told = answer.status in ELSEWHERE or (method, answer.status) == ("OPTIONS", 204)
            yield from [] if is_told else ["the document has no such operation"]
            yield from self._problem_faults(method, answer)
            return
        response = operation["responses"].get(str(answer.status))
        if response is None:
            yield f"status {answer.status} is not in the document"
            return
        yield from self._header_faults(response.get("headers", {}), answer)
        yield from self._body_faults(response.get("content", {}), method, answer)
        if body is not None and 200 <= answer.status < 300:
            yield from self._request_faults(operation, body, answer)

    def _problem_faults(self, method, answer):
        if method not in ("HEAD", "OPTIONS"):
            yield from self._body_faults({"application/problem+json": {"schema": self.problem}}, method, answer)

    def _header_faults(self, headers, answer):
        for name, header in headers.items():
            value = answer.headers.get(name.lower())
            if value is None:
                yield from [f"there is no {name}"] if header.get("required") else []
                continue
            misfit = self.misfit(header["schema"], int(value) if value.isdigit() and header["schema"].get("type") == "integer" else value)
            yield from [f"{name} {misfit}"] if misfit else []

    def _body_faults(self, content, method, answer):
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if not content:
            yield from ["a body that is not in the document"] if answer.body or kind else []
        elif kind not in content:
            yield f"type {kind!r} is not in the document"
        elif kind.endswith("json") and method != "HEAD":
            yield from filter(None, [self.misfit(content[kind]["schema"], answer.json())])

    def _request_faults(self, operation, body, answer):
        """What is taken must be allowed; of a batch, when nothing of it is rejected."""
        content = operation.get("requestBody", {}).get("content", {})
        if content and not (answer.body and answer.json().get("rejected")):
            misfit = self.misfit(content["application/json"]["schema"], json.loads(body))
            yield from [f"the body that was taken: {misfit}"] if misfit else []


@functools.cache
def document():
    return Document(FILE.read_text())


def check(method, target, answer, body=None, headers=None):
    """Fails with all that is not as the document says."""
    faults = list(document().faults(method, target, answer, None if "ndjson" in str(headers) else body))
    assert not faults, f"proto/openapi.yaml: {method} {target[:200]} {answer.status}: {'; '.join(faults)}\n{answer.body[:2000]}"
