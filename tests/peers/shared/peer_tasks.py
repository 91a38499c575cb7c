"""The tasks extension. The SDKs have no API for it, so its requests are made here."""

import json
from itertools import count

import httpx2
from peer_checks import expect, headers, named, options, profile, until

MODERN = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "tasks", "version": "1.0.0"},
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}, "extensions": {TASKS: {}}},
}
ids = count(1)


async def sent(method, name, params):
    """Sends a request; gives the response, an error too. `name` is what the request is about."""
    about = {"mcp-protocol-version": MODERN, "mcp-method": method, "mcp-name": name}
    about["accept"] = "application/json, text/event-stream"
    request = {"jsonrpc": "2.0", "id": next(ids), "method": method, "params": params | {"_meta": META}}
    async with httpx2.AsyncClient(headers=headers | about, trust_env=False) as http:
        answer = await http.post(options.url, json=request)
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()
    data = [line.removeprefix("data:") for line in answer.text.splitlines() if line.startswith("data:")]
    messages = [json.loads(line) for line in data if line.strip()]
    return next(message for message in messages if message.get("id") == request["id"])


async def done(method, name, params):
    response = await sent(method, name, params)
    expect("result" in response, f"{method}: {response}")
    return response["result"]


async def begun(spec):
    name = named(spec["tool"])
    task = await done("tools/call", name, {"name": name, "arguments": spec["args"]})
    expect(task.get("resultType") == "task" and task.get("taskId"), task)
    return task["taskId"]


async def reached(task_id, status):
    """The task once its status is `status`."""
    task = None

    async def there():
        nonlocal task
        task = await done("tasks/get", task_id, {"taskId": task_id})
        return task["status"] == status

    try:
        await until(status, 8, there)
    except AssertionError as error:
        raise AssertionError(f"{error}: {task}") from None
    expect(task["taskId"] == task_id, task)
    return task


def tasks():
    spec = profile.get("tasks")

    async def result():
        task = await reached(await begun(spec["result"]), "completed")
        expect(task["result"]["content"][0]["text"] == spec["result"]["text"], task)

    async def update():
        task_id = await begun(spec["update"])
        task, responses = await reached(task_id, "input_required"), {}
        for key, request in task["inputRequests"].items():
            expect(request["method"] == "elicitation/create", request)
            content = {"answer": f"heard: {request['params']['message']}"}
            responses[key] = {"action": "accept", "content": content}
        await done("tasks/update", task_id, {"taskId": task_id, "inputResponses": responses})
        task = await reached(task_id, "completed")
        expect(task["result"]["content"][0]["text"] == spec["update"]["text"], task)

    async def cancel():
        task_id = await begun(spec["cancel"])
        await done("tasks/cancel", task_id, {"taskId": task_id})
        await reached(task_id, "cancelled")

    async def unknown():
        response = await sent("tasks/get", "no-such-task", {"taskId": "no-such-task"})
        expect(response.get("error", {}).get("code") == -32602, response)

    return {
        "tasks:result": spec and result,
        "tasks:update": spec and update,
        "tasks:cancel": spec and cancel,
        "tasks:unknown": spec and unknown,
    }
