// A headless Chromium that asks nobody anything, and what a page did in it.

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import puppeteer from 'puppeteer-core';

const installed = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'toolgate', 'browser');

/** In milliseconds: on a busy machine too, nothing takes longer. */
const PATIENCE = 120_000;

/** The browser that `scripts/setup.sh browser` installs. It ends with `close()`. */
export function launch() {
  const env = { ...process.env };
  // Where the system lacks what Chromium is linked with, or any font, those that came with it stand in.
  if (existsSync(join(installed, 'lib'))) env.LD_LIBRARY_PATH = join(installed, 'lib');
  if (!existsSync('/etc/fonts')) env.FONTCONFIG_PATH = join(installed, 'fonts');
  return puppeteer.launch({
    executablePath: join(installed, 'chromium'),
    headless: 'shell',
    env,
    timeout: PATIENCE,
    args: ['--no-sandbox', '--no-zygote', '--disable-gpu', '--disable-dev-shm-usage', '--font-render-hinting=none'],
  });
}

/** Opens a file, and notes what it says and asks for on the way. */
export async function open(browser, file, { width = 1100, scheme = 'light' } = {}) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  const seen = { said: [], asked: [], dialogs: [] };
  page.on('console', (message) => seen.said.push(message.text()));
  page.on('pageerror', (error) => seen.said.push(String(error)));
  page.on('request', (request) => seen.asked.push(request.url()));
  page.on('dialog', (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.goto(`file://${file}`);
  return { page, seen };
}

/** In the page: the ratio of luminances between each text and what is behind it, where it is less than `least`. */
export function faint(least) {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest('svg') || !element.checkVisibility()) continue;
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) found.add(`${element.className || element.tagName} ${ratio.toFixed(2)}`);
  }
  return [...found];
}
