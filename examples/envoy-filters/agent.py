"""Two scripted agents, on the official MCP SDK for Python, whose calls Envoy routes and refuses by their team and tool."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

TEXT, IMAGE = "test_simple_text", "test_image_content"
SECONDS_IN_ALL = 60
SECONDS_UNTIL_LOGGED = 30


@dataclass(frozen=True)
class Step:
    """Who calls what, and where the call goes: `stable`, `next` or nowhere."""

    key: str
    tool: str
    goes_to: str | None
    promise: str
    forged: str | None = None
    """A team that the agent claims to be of."""


STEPS = [
    Step("bob", TEXT, "stable", "payments stays on the version that is proven"),
    Step("ada", TEXT, "next", "research gets the next one: a route matches its team"),
    Step("ada", IMAGE, "next", "research may have images"),
    Step("bob", IMAGE, None, "Toolgate lets it pass; Envoy's RBAC refuses the tool to payments"),
    Step("bob", TEXT, "stable", "claiming to be of research changes nothing", forged="research"),
    Step("bob", IMAGE, None, "nor does it get round the RBAC", forged="research"),
]


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("gate", "stable", "next", "access-log"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    signal.alarm(SECONDS_IN_ALL)
    places = {"stable": args.stable, "next": args.next, None: None}
    print(f"Toolgate: what other filters of Envoy make of it\n\n  policy    examples/envoy-filters/policy.json\n"
          f"  stable    {args.stable}\n  next      {args.next}")
    wrong = 0
    for number, step in enumerate(STEPS, 1):
        wrong += await play(number, step, args.gate, places, Path(args.access_log))
    print(f"\n{wrong} of {len(STEPS)} calls went elsewhere." if wrong else f"\nAll {len(STEPS)} calls went where they belong.")
    return 1 if wrong else 0


async def play(number: int, step: Step, gate: str, places: dict[str | None, str | None], log: Path) -> bool:
    """Makes one call on a connection of its own and prints it. True if it went wrong."""
    told = await call(step, gate)
    record = await recorded(log, number)
    expected = [
        ("the call went to", record["upstream"], places[step.goes_to]),
        ("Toolgate's decision", record["decision"], "allowed"),
        ("the gate's record is of this tool", record["gen_ai.tool.name"], step.tool),
    ]
    problems = [f"{what} {got!r}, expected {wanted!r}" for what, got, wanted in expected if got != wanted]
    claim = f", claiming to be of {step.forged}" if step.forged else ""
    print(f"\n{'WRONG' if problems else 'ok'}  {number}. {step.key} calls {step.tool}{claim}")
    print(f"      promised   {step.promise}")
    print(f"      agent got  {told}")
    print(f"      went to    {step.goes_to or 'no server'}", flush=True)
    for problem in problems:
        print(f"      WRONG      {problem}", flush=True)
    return bool(problems)


async def call(step: Step, gate: str) -> str:
    headers = {"Authorization": f"Bearer demo-{step.key}"}
    if step.forged:
        headers |= {"x-toolgate-team": step.forged}
    try:
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
            client = await stack.enter_async_context(Client(streamable_http_client(gate, http_client=http), cache=None))
            result = await client.call_tool(step.tool, {})
            return " ".join(getattr(content, "text", f"({content.type})") for content in result.content)
    except Exception as error:  # noqa: BLE001  whatever the SDK makes of a plain 403
        return f"an error: {leaf(error)}"


def leaf(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error).splitlines()[0]


async def recorded(log: Path, number: int) -> dict[str, Any]:
    """The gate's record of the call with this number; Envoy writes its access log with some delay."""
    deadline = time.monotonic() + SECONDS_UNTIL_LOGGED
    while time.monotonic() < deadline:
        lines = log.read_text().split("\n")[:-1] if log.exists() else []
        calls = [record for record in map(json.loads, lines) if record["mcp.method.name"] == "tools/call"]
        if len(calls) >= number:
            return calls[number - 1]
        await asyncio.sleep(0.05)
    raise TimeoutError(f"the access log has no record of call {number}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
