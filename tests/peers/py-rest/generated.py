"""Generates a client from an OpenAPI document and calls tools with it.

The document is validated, the client is made by openapi-python-client in a temporary directory, and
each of the calls (JSON: tool as server/name, arguments, and result, if it is to be another form) is made
with the client's own types. Prints one JSON line for each: status, the type that came, what is in it.
"""

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import get_type_hints

import httpx
import openapi_spec_validator


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--document", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--calls", type=json.loads, default=[])
    options = parser.parse_args()

    answer = httpx.get(options.document, headers={"Authorization": f"Bearer {options.key}"}, trust_env=False)
    answer.raise_for_status()
    document = answer.json()
    openapi_spec_validator.validate(document)
    with tempfile.TemporaryDirectory() as directory:
        operations = generate(document, Path(directory))
        package = importlib.import_module("generated_client")
        base_url = document["servers"][0]["url"]
        with package.AuthenticatedClient(base_url, options.key, httpx_args={"trust_env": False}) as client:
            for wanted in options.calls:
                print(json.dumps(call(operations, client, **wanted)), flush=True)


def generate(document, directory):
    """Writes the client, and gives its modules by server/tool, as the document calls them."""
    (directory / "document.json").write_text(json.dumps(document))
    # The generator would have the code formatted; nobody reads it here.
    (directory / "settings.yaml").write_text("post_hooks: []")
    command = [Path(sys.executable).parent / "openapi-python-client", "generate", "--fail-on-warning"]
    command += ["--path", directory / "document.json", "--config", directory / "settings.yaml"]
    command += ["--meta", "none", "--output-path", directory / "generated_client"]
    subprocess.run(command, check=True, stdout=sys.stderr)

    sys.path.insert(0, str(directory))
    api = importlib.import_module("generated_client.api")
    names = [module.name for module in pkgutil.walk_packages(api.__path__, f"{api.__name__}.") if not module.ispkg]
    modules = {plain(name.rpartition(".")[2]): importlib.import_module(name) for name in names}
    described = [path["post"] for path in document["paths"].values()]
    if len(names) != len(described):
        raise AssertionError(f"{len(described)} operations are described and {len(names)} were made: {names}")
    return {f"{tool['tags'][0]}/{tool['summary']}": modules[plain(tool["operationId"])] for tool in described}


def plain(name):
    """Generators write ts__echo as ts_echo."""
    return "".join(letter for letter in name if letter.isalnum()).lower()


def call(operations, client, tool, arguments, **more):
    module = operations[tool]
    body = get_type_hints(module.sync_detailed)["body"].from_dict(arguments)
    form = importlib.import_module("generated_client.models").ResultForm
    more = {name: form(value) for name, value in more.items()}
    answer = module.sync_detailed(client=client, body=body, **more)
    parsed = answer.parsed
    return {
        "tool": tool,
        "status": int(answer.status_code),
        "type": type(parsed).__name__,
        "parsed": parsed.to_dict() if hasattr(parsed, "to_dict") else parsed,
    }


main()
