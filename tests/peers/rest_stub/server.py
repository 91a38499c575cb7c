"""An MCP server in RouteIQ's REST dialect: plain JSON over GET and POST, no JSON-RPC.

usage: server.py PORT [--405] [--names]
  PORT     0 takes a free one; what it is stands in the first line of output
  --405    JSON-RPC at /mcp is answered 405 instead of 404
  --names  tools and resources are listed as bare names instead of objects

Every path is served with and without /mcp before it. GET /counts says how often each was asked for.
"""

import argparse
import collections
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLS = [
    {
        "name": "stub.echo",
        "description": "Gives its arguments back",
        "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
    {
        "name": "stub.sum",
        "description": "Adds numbers",
        "input_schema": {
            "type": "object",
            "properties": {"values": {"type": "array", "items": {"type": "number"}}},
            "required": ["values"],
        },
    },
    {"name": "stub.fail", "description": "Never works", "input_schema": {"type": "object"}},
]
# In this dialect the name of a resource is its URI.
RESOURCES = [{"name": "stub://resource/demo", "description": "Something to read"}]

counts = collections.Counter()
counting = threading.Lock()


class Refusal(Exception):
    def __init__(self, status, detail):
        super().__init__(detail)
        self.status = status


def call(request):
    tool, arguments = request.get("tool_name"), request.get("arguments") or {}
    if tool == "stub.echo":
        result = {"echo": arguments}
    elif tool == "stub.sum":
        result = {"sum": total(arguments.get("values"))}
    elif tool == "stub.fail":
        raise Refusal(500, "stub.fail never works")
    else:
        raise Refusal(404, f"Unknown tool: {tool}")
    return {"status": "success", "tool_name": tool, "result": result}


def total(values):
    if not isinstance(values, list) or not all(isinstance(value, (int, float)) for value in values):
        raise Refusal(400, "values must be a list of numbers")
    return float(sum(values))


def read(request):
    uri = request.get("uri")
    if uri not in [resource["name"] for resource in RESOURCES]:
        raise Refusal(404, f"Unknown resource: {uri}")
    return {"status": "success", "uri": uri, "result": {"text": "what the stub has to say"}}


class Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write for head and body.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        self.count()
        match self.place():
            case "/counts":
                with counting:
                    self.answer(200, dict(counts))
            case "/":
                self.answer(200, {"name": "REST stub", "version": "1"})
            case "/health":
                self.answer(200, {"status": "ok"})
            case "/tools":
                self.answer(200, {"tools": self.listed(TOOLS)})
            case "/resources":
                self.answer(200, {"resources": self.listed(RESOURCES)})
            case _:
                self.answer(404, {"detail": "Not Found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.count()
        try:
            match self.place():
                case "/tools/call":
                    self.answer(200, call(json.loads(body)))
                case "/resources/read":
                    self.answer(200, read(json.loads(body)))
                case "/" if self.server.options.refuse_405:
                    self.answer(405, {"detail": "Method Not Allowed"})
                case _:
                    self.answer(404, {"detail": "Not Found"})
        except Refusal as refusal:
            self.answer(refusal.status, {"detail": str(refusal)})
        except ValueError:
            self.answer(422, {"detail": "the body is no JSON"})

    def do_DELETE(self):
        self.count()
        self.answer(405, {"detail": "Method Not Allowed"})

    def listed(self, entries):
        return [entry["name"] for entry in entries] if self.server.options.names else entries

    def place(self):
        path = self.path.split("?")[0].rstrip("/")
        return path.removeprefix("/mcp") or "/"

    def count(self):
        with counting:
            counts[f"{self.command} {self.path}"] += 1

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Stub(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("port", type=int)
    arguments.add_argument("--405", dest="refuse_405", action="store_true")
    arguments.add_argument("--names", action="store_true")
    options = arguments.parse_args()
    stub = Stub(("127.0.0.1", options.port), Exchange)
    stub.options = options
    print(f"listening {stub.server_port}", flush=True)
    stub.serve_forever()


main()
