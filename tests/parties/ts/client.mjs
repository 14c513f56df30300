// The official TypeScript SDK (v2) as a scripted client: reads and prints what python/client.py does.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const TIMEOUT_MS = 30_000;

const order = JSON.parse(await readAll(process.stdin));
let transport;
const report = { connected: false, protocolVersion: null, error: null, results: [] };
const watchdog = setTimeout(() => finish({ type: 'Timeout', code: null, message: 'the script took too long' }), TIMEOUT_MS);
try {
  await play();
  finish(null);
} catch (failure) {
  finish(describe(failure));
}

async function play() {
  const headers = { ...order.headers };
  if (order.key) headers.Authorization = `Bearer ${order.key}`;
  const mode = ['legacy', 'auto'].includes(order.era) ? order.era : { pin: order.era };
  const client = new Client({ name: 'toolgate-tests', version: '1.0.0' }, {
    capabilities: { sampling: {}, elicitation: { form: {} } },
    versionNegotiation: { mode },
  });
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'none',
    content: { type: 'text', text: 'sampled' },
  }));
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { response: 'elicited' } }));
  transport = new StreamableHTTPClientTransport(new URL(order.url), { requestInit: { headers } });
  await client.connect(transport);
  report.connected = true;
  report.protocolVersion = client.getNegotiatedProtocolVersion() ?? null;
  for (const operation of order.operations) {
    report.results.push(await perform(client, operation));
  }
  await client.close();
}

async function perform(client, operation) {
  const progress = [];
  try {
    return { op: operation.op, ok: true, result: await call(client, operation, progress), progress };
  } catch (failure) {
    return { op: operation.op, ok: false, error: describe(failure) };
  }
}

function call(client, { op, name, uri, cursor, ref, argument, arguments: args = {} }, progress) {
  const page = cursor === undefined ? undefined : { cursor };
  switch (op) {
    case 'ping':
      return client.ping();
    case 'session':
      return { id: transport.sessionId ?? null };
    case 'end_session':
      return endSession();
    case 'list_tools':
      return client.listTools(page);
    case 'call_tool':
      return client.callTool({ name, arguments: args }, { onprogress: (note) => progress.push(note.progress) });
    case 'list_resources':
      return client.listResources(page);
    case 'list_resource_templates':
      return client.listResourceTemplates(page);
    case 'read_resource':
      return client.readResource({ uri });
    case 'list_prompts':
      return client.listPrompts(page);
    case 'get_prompt':
      return client.getPrompt({ name, arguments: args });
    case 'complete':
      return client.complete({ ref, argument });
    default:
      throw new Error(`unknown operation ${op}`);
  }
}

// The client forgets the session that it has ended; what comes next shows whether the server has, too.
async function endSession() {
  const session = transport.sessionId;
  await transport.terminateSession();
  const ended = transport.sessionId === undefined;
  transport._sessionId = session;
  return { ended };
}

function describe(failure) {
  return {
    type: failure?.constructor?.name ?? typeof failure,
    code: failure?.code ?? null,
    message: failure?.message ?? String(failure),
    data: failure?.data ?? null,
    status: typeof failure?.status === 'number' ? failure.status : null,
  };
}

function finish(error) {
  clearTimeout(watchdog);
  report.error = error;
  // An open event stream would keep the process alive.
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}

async function readAll(stream) {
  let text = '';
  for await (const piece of stream) text += piece;
  return text;
}
