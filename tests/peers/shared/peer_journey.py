"""A tool of a modern Python server that asks in several rounds, and lastly gives nothing but a state."""

import json

from mcp.types import CallToolResult, ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from peer_server import executed, result

ANSWER = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
# Whatever a link may re-encode: quotes, escapes, other scripts, what looks like base64 or a URL.
ODD = ' "\\u00e9" é ☃ 𝄞 %2B+/=\t\n'

minted = set()


def elicitation(topic):
    return ElicitRequest(params=ElicitRequestFormParams(message=f"What of {topic}?", requested_schema=ANSWER))


def mint(**state):
    """The states given out. Only what comes back to the byte is among them."""
    minting = json.dumps(state) + ODD
    minted.add(minting)
    return minting


def register_journey(server, Context):
    @server.tool()
    async def journey(rounds: int, ctx: Context, nonce: str | None = None) -> CallToolResult | InputRequiredResult:
        executed(nonce)
        given, asked, answers = ctx.request_state, 0, []
        if given is not None:
            if given not in minted:
                raise ValueError(f"no state of mine: {given}")
            state = json.loads(given.removesuffix(ODD))
            asked, answers = state["asked"], state["answers"]
        if asked > rounds:
            return result(", ".join(answers))
        if asked:
            answers.append(ctx.input_responses[f"stop {asked}"].content["answer"])
        state = mint(asked=asked + 1, answers=answers)
        if asked == rounds:
            return InputRequiredResult(request_state=state)
        stop = f"stop {asked + 1}"
        return InputRequiredResult(input_requests={stop: elicitation(stop)}, request_state=state)
