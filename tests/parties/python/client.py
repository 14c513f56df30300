"""The official Python SDK as a scripted client.

Reads one JSON document from standard input:

    {"url": "http://…/mcp", "era": "legacy" | "auto" | "2026-07-28", "key": "…" | null, "headers": {…},
     "operations": [{"op": "list_tools"}, {"op": "call_tool", "name": "echo", "arguments": {}}, …]}

and prints one: {"connected", "protocolVersion", "error", "results": [{"op", "ok", "result" | "error", "progress"}]},
where an error is {"type", "code", "message", "data", "status"} and progress is what the server has told of a call.
What the server asks for in return, a sample or an answer of the person, gets a fixed answer.
`parties/ts/client.mjs` does the same with the TypeScript SDK.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp_types import CreateMessageResult, ElicitResult, PromptReference, ResourceTemplateReference, TextContent

TIMEOUT_SECONDS = 30


async def main() -> None:
    order = json.load(sys.stdin)
    report: dict[str, Any] = {"connected": False, "protocolVersion": None, "error": None, "results": []}
    try:
        await asyncio.wait_for(play(order, report), TIMEOUT_SECONDS)
    except BaseException as failure:  # noqa: BLE001: every failure is a result here
        report["error"] = describe(failure)
    json.dump(report, sys.stdout)


async def play(order: dict[str, Any], report: dict[str, Any]) -> None:
    headers = dict(order.get("headers") or {})
    if order.get("key"):
        headers["Authorization"] = f"Bearer {order['key']}"
    async with create_mcp_http_client(headers=headers) as http:
        transport = streamable_http_client(order["url"], http_client=http)
        answers = {"sampling_callback": sample, "elicitation_callback": elicit}
        async with Client(transport, mode=order["era"], read_timeout_seconds=15, cache=None, **answers) as client:
            report["connected"] = True
            report["protocolVersion"] = client.protocol_version
            for operation in order["operations"]:
                report["results"].append(await perform(client, operation))


async def sample(context: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", model="none", content=TextContent(type="text", text="sampled"))


async def elicit(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"response": "elicited"})


async def perform(client: Client, operation: dict[str, Any]) -> dict[str, Any]:
    progress: list[float] = []
    try:
        result = await call(client, operation, progress)
    except Exception as failure:  # noqa: BLE001
        return {"op": operation["op"], "ok": False, "error": describe(failure)}
    plain = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"op": operation["op"], "ok": True, "result": plain, "progress": progress}


async def call(client: Client, operation: dict[str, Any], progress: list[float]) -> Any:
    async def note(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    match operation["op"]:
        case "ping":
            return await client.send_ping()
        case "list_tools":
            return await client.list_tools(cursor=operation.get("cursor"))
        case "call_tool":
            return await client.call_tool(operation["name"], operation.get("arguments") or {}, progress_callback=note)
        case "list_resources":
            return await client.list_resources(cursor=operation.get("cursor"))
        case "list_resource_templates":
            return await client.list_resource_templates(cursor=operation.get("cursor"))
        case "read_resource":
            return await client.read_resource(operation["uri"])
        case "list_prompts":
            return await client.list_prompts(cursor=operation.get("cursor"))
        case "get_prompt":
            return await client.get_prompt(operation["name"], operation.get("arguments") or {})
        case "complete":
            reference = operation["ref"]
            kind = PromptReference if reference["type"] == "ref/prompt" else ResourceTemplateReference
            return await client.complete(kind(**reference), operation["argument"])
        case unknown:
            raise ValueError(f"unknown operation {unknown!r}")


def describe(failure: BaseException) -> dict[str, Any]:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    response = getattr(failure, "response", None)
    return {
        "type": type(failure).__name__,
        "code": getattr(failure, "code", None),
        "message": getattr(failure, "message", None) or str(failure),
        "data": getattr(failure, "data", None),
        "status": getattr(response, "status_code", None),
    }


asyncio.run(main())
