// The report in a real browser: it is complete in itself, can be read anywhere, and runs nothing.
//
//   node --test tests/browser/report.test.mjs      reports of dist/toolgate, or of TOOLGATE_BIN
//   TOOLGATE_SCREENSHOTS=DIR node --test …         also leaves pictures in a directory, for people

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { faint, launch, open } from './browser.mjs';
import { day, hostile } from './logs.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = process.env.TOOLGATE_BIN || join(root, 'dist', 'toolgate');
const pictures = process.env.TOOLGATE_SCREENSHOTS;
const LOGS = { day: day(), hostile: hostile(), empty: '', one: day().split('\n', 1)[0] };

let directory;
let browser;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'toolgate-browser-'));
  for (const [name, text] of Object.entries(LOGS)) {
    writeFileSync(join(directory, `${name}.log`), text);
    const more = name === 'day' ? ['--policy', join(root, 'policies', 'read-only-sql.json')] : [];
    execFileSync(program, ['report', `${name}.log`, '-o', `${name}.html`, ...more], { cwd: directory, stdio: 'pipe' });
  }
  browser = await launch();
});

after(async () => {
  await browser?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The page as it opens; very long ones are cut. */
async function picture(page, name) {
  const [width, height] = await page.evaluate(() => [window.innerWidth, document.documentElement.scrollHeight]);
  const clip = { x: 0, y: 0, width, height: Math.min(height, 6000) };
  await page.screenshot({ path: join(pictures, name), clip, captureBeyondViewport: true });
}

for (const name of Object.keys(LOGS)) {
  for (const [look, options] of [['light', {}], ['dark', { scheme: 'dark' }], ['phone', { width: 360 }]]) {
    test(`${name}, ${look}: opens in silence, asks for nothing, can be read`, async () => {
      const file = join(directory, `${name}.html`);
      const { page, seen } = await open(browser, file, options);
      if (pictures) await picture(page, `${name}-${look}.png`);
      await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
      for (const choice of [null, ...await page.$$eval('.explorer input', (all) => all.map((one) => one.id))]) {
        if (choice) await page.$eval(`#${choice}`, (input) => input.click());
        const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
        assert.ok(wide <= room, `${choice}: ${wide} pixels in ${room}`);
      }
      assert.deepEqual(await page.evaluate(faint, 4.5), []);
      assert.deepEqual(seen, { said: [], asked: [`file://${file}`], dialogs: [] });
      await page.close();
    });
  }
}

test('names are text: nothing of them runs, and there is no script at all', async () => {
  const { page, seen } = await open(browser, join(directory, 'hostile.html'));
  await new Promise((done) => { setTimeout(done, 200); });
  assert.match(await page.title(), /^Toolgate report/);
  assert.equal(page.url(), `file://${join(directory, 'hostile.html')}`);
  assert.deepEqual(seen.dialogs, []);
  const made = await page.$$eval('script, img, iframe, object, embed, form, link, base, style:not(head > style)', (all) => all.length);
  assert.equal(made, 0);
  const handlers = await page.$$eval('*', (all) => all.flatMap((one) => one.getAttributeNames()).filter((name) => name.startsWith('on')));
  assert.deepEqual(handlers, []);
  const text = await page.evaluate(() => document.body.textContent);
  assert.ok(text.includes("</script><script>document.title='owned'</script>"), 'names are shown as they are');
  assert.ok(text.includes('\\u{202e}gnp.exe') && !/[\u202a-\u202e\u2066-\u2069]/.test(text), 'and what turns them is spelled out');
  await page.close();
});

test('the browser is told to fetch and run nothing', async () => {
  const { page } = await open(browser, join(directory, 'day.html'));
  const refused = await page.evaluate(async () => {
    const refused = [];
    document.addEventListener('securitypolicyviolation', (event) => refused.push(event.effectiveDirective));
    for (const [tag, source] of [['img', 'data:image/gif;base64,R0lGODlhAQABAAAAACw='], ['script', 'data:text/javascript,1'], ['iframe', 'data:text/html,x']]) {
      const element = document.createElement(tag);
      element.src = source;
      document.body.append(element);
    }
    const style = document.createElement('style');
    style.textContent = '* { display: none }';
    document.head.append(style);
    await fetch('http://127.0.0.1:9/').catch(() => {});
    await new Promise((done) => { setTimeout(done, 200); });
    return refused.sort();
  });
  assert.deepEqual(refused, ['connect-src', 'frame-src', 'img-src', 'script-src-elem', 'style-src-elem']);
  await page.close();
});

test('the keyboard chooses a chart and opens a trace', async () => {
  const { page } = await open(browser, join(directory, 'day.html'));
  const shown = () => page.$$eval('.panel figure', (all) => all.filter((one) => one.checkVisibility()).map((one) => one.innerText.split('\n')[0]));
  assert.deepEqual(await shown(), ['Calls per 5 min, by team']);
  await page.focus('#by-team');
  await page.keyboard.press('ArrowRight');
  assert.deepEqual(await shown(), ['Calls per 5 min, by key']);
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  assert.deepEqual(await shown(), ['Cost per 5 min, by key']);
  const trail = await page.$$('.trail:not([open]) > summary');
  await trail[0].focus();
  await page.keyboard.press('Enter');
  assert.equal((await page.$$('.trail:not([open]) > summary')).length, trail.length - 1);
  // Tab reaches the first link, which is out of sight until then.
  await page.evaluate(() => document.activeElement.blur());
  await page.close();
});

test('it says what matters: the burst, the failing tool, the grants that nobody needs', async () => {
  const { page } = await open(browser, join(directory, 'day.html'));
  const first = await page.$eval('.attention', (one) => one.innerText);
  assert.match(first, /Spike: [\d,.]+ (calls|spent) .* by key fin-bot, 20 Nov 16:0/);
  assert.match(first, /Failing: mail\/send/);
  assert.match(first, /Shadow mode: enforcement would refuse \d+ requests \(rule \d+\)/);
  assert.match(first, /Unused: \d+ of \d+ granted patterns/);
  await page.close();
});
