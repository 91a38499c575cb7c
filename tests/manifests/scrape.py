"""The metrics of a gateway that has served, failed, refused and reloaded, so that every vector has children."""

import os
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

KEY = secrets.token_hex(16)
# One series of each vector, by which we know that all has happened.
HAPPENED = (
    'outcome="ok",server="there"',
    'outcome="not_discovered"',
    'reason="unauthenticated"',
    'tollbridge_upstream_seconds_count{server="there"}',
    'tollbridge_endpoint_up{',
    'tollbridge_catalog_stale_seconds{',
    'tollbridge_config_reload_total{result="ok"}',
)


def scrape():
    """The labels of each metric, by its name: {name: {label}}."""
    samples = re.findall(r"^(\w+)(?:\{(.*)\})? ", text(), re.M)
    metrics = {}
    for name, labels in samples:
        metrics.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return metrics


def text():
    binary = os.environ["TOLLBRIDGE"]
    with tempfile.TemporaryDirectory() as folder, process([binary, "demo", "--upstream", "modern"]) as demo:
        server = int(re.fullmatch(r"listening (\d+)\n", demo.stdout.readline())[1])
        callers, operators, nobody = free_ports(3)
        file = Path(folder, "gateway.yaml")
        file.write_text(
            f"listen: 127.0.0.1:{callers}\n"
            f"admin: {{listen: 127.0.0.1:{operators}}}\n"
            f"keys: [{{id: app, key: {KEY}}}]\n"
            "servers:\n"
            f"  there: {{url: http://127.0.0.1:{server}/mcp}}\n"
            f"  gone: {{url: http://127.0.0.1:{nobody}/mcp, tools: [echo]}}\n"
            "access_log: off\n"
        )
        with process([binary, "run", "--config", file]) as gateway:
            await_true("the gateway is ready", lambda: get(operators, "/readyz")[0] == 200)
            await_true("a call succeeds", lambda: call(callers, "there", KEY) == 200)
            assert call(callers, "gone", KEY) == 502, "a server that is not there"
            assert call(callers, "there", "no key of ours") == 401, "a key that opens nothing"
            gateway.send_signal(signal.SIGHUP)
            metrics = lambda: get(operators, "/metrics")[1]
            missing = lambda: [each for each in HAPPENED if each not in metrics()]
            await_true(lambda: f"not counted: {missing()}", lambda: not missing())
            return metrics()


@contextmanager
def process(command):
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def call(port, server, key):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/mcp/{server}/tools/echo"
    return ask(urllib.request.Request(url, b'{"text": "hello"}', headers))[0]


def get(port, path):
    return ask(urllib.request.Request(f"http://127.0.0.1:{port}{path}"))


def ask(request):
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return None, ""


def await_true(what, holds):
    end = time.monotonic() + 20
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"waited 20 s in vain: {what() if callable(what) else what}")
        time.sleep(0.05)
