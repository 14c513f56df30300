// An MCP server on the official TypeScript SDK (v2).
//
//   node server.mjs PORT             serves http://127.0.0.1:PORT/mcp, both eras on one path, no sessions
//   node server.mjs PORT sessions    up to 2025-11-25 only, with sessions and tools that ask the client something

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';

const handler = process.argv[3] === 'sessions' ? inSessions(withQuestions) : toNodeHandler(createMcpHandler(() => build()));

createServer((request, response) => {
  if (new URL(request.url, 'http://localhost').pathname !== '/mcp') {
    response.writeHead(404).end();
    return;
  }
  handler(request, response);
}).listen(Number(process.argv[2]), '127.0.0.1');

// As the SDK's documentation shows it: a server and a transport per session.
function inSessions(makeServer) {
  const transports = new Map();
  return async (request, response) => {
    const id = request.headers['mcp-session-id'];
    let transport = transports.get(id);
    if (transport === undefined && id !== undefined) {
      const error = { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } };
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify(error));
      return;
    }
    if (transport === undefined) {
      transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (session) => transports.set(session, transport),
        onsessionclosed: (session) => transports.delete(session),
      });
      await makeServer().connect(transport);
    }
    await transport.handleRequest(request, response);
  };
}

function withQuestions() {
  // Asks for nothing that the client has not declared.
  const server = build({ enforceStrictCapabilities: true });
  const json = (value) => ({ content: [{ type: 'text', text: JSON.stringify(value) }] });
  server.registerTool('capabilities', { description: 'What the client has declared' }, () =>
    json(server.server.getClientCapabilities()),
  );
  server.registerTool('sample', { description: 'Asks for a sample' }, async (context) =>
    json(
      await context.mcpReq.requestSampling({
        messages: [{ role: 'user', content: { type: 'text', text: 'say it' } }],
        maxTokens: 10,
      }),
    ),
  );
  server.registerTool('elicit', { description: 'Asks the person' }, async (context) =>
    json(
      await context.mcpReq.elicitInput({
        message: 'say it',
        requestedSchema: { type: 'object', properties: { response: { type: 'string' } } },
      }),
    ),
  );
  return server;
}

function build(options = {}) {
  const server = new McpServer({ name: 'typescript-party', version: '1.0.0' }, options);
  const text = (value) => ({ content: [{ type: 'text', text: value }] });

  server.registerTool(
    'echo',
    {
      description: 'Says what it was told',
      inputSchema: fromJsonSchema({
        type: 'object',
        properties: { text: { type: 'string', maxLength: 1000 } },
        required: ['text'],
        additionalProperties: false,
      }),
    },
    ({ text: said }) => text(said),
  );
  server.registerTool(
    'add',
    {
      description: 'Adds two numbers',
      inputSchema: fromJsonSchema({
        type: 'object',
        properties: { a: { type: 'number' }, b: { type: 'number' } },
        required: ['a', 'b'],
      }),
    },
    ({ a, b }) => text(String(a + b)),
  );
  server.registerTool('delete_everything', { description: 'Must be out of reach' }, () => text('deleted'));
  server.registerResource('greeting', 'test://greeting', { mimeType: 'text/plain' }, (uri) => ({
    contents: [{ uri: uri.href, text: 'hello' }],
  }));
  server.registerPrompt('brief', { description: 'A short prompt' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'be brief' } }],
  }));
  return server;
}
