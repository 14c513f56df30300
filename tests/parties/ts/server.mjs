// An MCP server on the official TypeScript SDK (v2), both eras on one path.
//
//   node server.mjs PORT        serves http://127.0.0.1:PORT/mcp

import { createServer } from 'node:http';

import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';

const handler = toNodeHandler(createMcpHandler(build));

createServer((request, response) => {
  if (new URL(request.url, 'http://localhost').pathname !== '/mcp') {
    response.writeHead(404).end();
    return;
  }
  handler(request, response);
}).listen(Number(process.argv[2]), '127.0.0.1');

function build() {
  const server = new McpServer({ name: 'typescript-party', version: '1.0.0' });
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
