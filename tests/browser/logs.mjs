// Access logs to report on, always the same ones.

const HOSTILE = [
  "</script><script>document.title='owned'</script>",
  '"><img src=x onerror="document.title=\'owned\'">',
  "'><svg/onload=document.title='owned'>",
  '</style><style>*{display:none}</style>',
  '<iframe srcdoc="<script>parent.document.title=\'owned\'</script>">',
  '<meta http-equiv=refresh content="0;url=http://127.0.0.1:9/">',
  '\u202egnp.exe\u202c',
  'a\u0000b\u001b[2J\u009b1m',
  "=cmd|' /C calc'!A0",
  'x'.repeat(256),
  'word '.repeat(51).trim(),
  'مرحبا بالعالم',
  '日本語ツール',
  'javascript:alert(1)',
];

const TOOLS = [
  ['docs/search_docs', 40, 2000],
  ['docs/get_page', 25, 0],
  ['sql/run_sql', 300, 50000],
  ['files/read_file', 12, 0],
  ['crm/lookup_customer', 120, 1000],
  ['mail/send', 700, 10000],
];
const KEYS = [['eng-prod', 'engineering'], ['eng-staging', 'engineering'], ['fin-bot', 'finance'], ['ci-bot', null]];

/** Numbers that look random, the same every time. <https://en.wikipedia.org/wiki/Lehmer_random_number_generator> */
function numbers() {
  let state = 20261120;
  return (below) => (state = (state * 48271) % 2147483647) % below;
}

/** A working day, with a burst of one key in the afternoon. */
export function day() {
  const random = numbers();
  const lines = [];
  for (let minute = 0; minute < 600; minute += 1) {
    const burst = minute >= 480 && minute < 488;
    for (let call = 4 + random(5) + (burst ? 40 : 0); call > 0; call -= 1) {
      const [key, team] = burst && call > 8 ? KEYS[2] : KEYS[random(KEYS.length)];
      const [tool, usual, cost] = TOOLS[random(TOOLS.length)];
      const refused = ['hidden', 'quota', 'schema'][random(60)];
      const failed = random(tool === 'mail/send' ? 6 : 90) === 0;
      lines.push(record(minute * 60_000 + random(60_000), {
        key, team, server: tool.split('/')[0], 'gen_ai.tool.name': tool.split('/')[1], decision: refused ?? 'allowed',
        would_deny: !refused && random(80) === 0 ? 'rule' : null,
        detail: refused ? `decided by ${refused}` : null,
        cost_micros: refused ? null : String(cost), outcome: refused ? null : failed ? 'timeout' : 'ok',
        result_tokens: refused ? null : String(20 + random(2000)),
        call_duration_ms: refused ? null : String(1 + Math.floor((usual * (50 + random(150))) / 100)),
        'mcp.session.id': `${key}-${Math.floor(minute / 30)}`,
      }));
    }
  }
  return lines.join('');
}

/** Every name in every place that a caller or a server can fill. */
export function hostile() {
  const fields = ['key', 'team', 'server', 'gen_ai.tool.name', 'object', 'decision', 'would_deny', 'detail', 'outcome',
    'outcome_code', 'mcp.method.name', 'mcp.session.id', 'trace_id', 'arguments', 'arguments_digest', 'policy', 'client',
    'request_id', 'details', 'chain_id', 'chain_digest'];
  const lines = [];
  HOSTILE.forEach((name, number) => {
    for (const field of fields) lines.push(record(number * 1000, { [field]: name }));
    lines.push(record(number * 1000, Object.fromEntries(fields.map((field) => [field, name]))));
  });
  return `${lines.join('')}{"time": "${HOSTILE[0]}\n`;
}

function record(ms, fields) {
  const time = new Date(Date.UTC(2026, 10, 20, 8) + ms).toISOString();
  return `${JSON.stringify({
    time, status: 200, method: 'POST', path: '/docs/mcp', duration_ms: 9, client: '10.2.3.4', decision: 'allowed',
    key: 'eng-prod', team: 'engineering', server: 'docs', 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'search_docs',
    outcome: 'ok', call_duration_ms: '8', policy: '8f1d2c3b4a596877', ...fields,
  })}\n`;
}
