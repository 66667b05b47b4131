// Looks at the page of a daemon in a real browser. `page.mjs SCENARIO ADDRESS FOLDER [WORDS…]`: what is wrong is said on
// standard error, and the exit code is 1. TINYD_BROWSER_MODULES names the folder of the packages.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const modules = createRequire(join(process.env.TINYD_BROWSER_MODULES, 'package.json'));
const { chromium } = modules('playwright-core');
const axe = readFileSync(modules.resolve('axe-core/axe.min.js'), 'utf8');

const [scenario, address, folder, ...words] = process.argv.slice(2);
const home = `http://${address}/`;
const DESK = { width: 1200, height: 720 };
const PHONE = { width: 390, height: 780 };

const browser = await chromium.launch({
  executablePath: process.env.TINYD_CHROMIUM ?? '/usr/bin/chromium',
  // As root there is no sandbox; whatever is not this machine has no address.
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
});

// A page, and all that it should not do.
async function visit(options = {}, path = '') {
  const context = await browser.newContext({ viewport: DESK, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on('console', (said) => said.type() === 'error' && wrong.push(`console: ${said.text()}`));
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(home) && !url.startsWith('data:')) wrong.push(`request to ${url}`);
  });
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => {
      window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
    });
  });
  await page.goto(home + path);
  await page.waitForFunction(() => document.getElementById('connection').textContent === 'live');
  return { page, context, wrong };
}

async function leave({ page, context, wrong }) {
  assert.deepEqual(await page.evaluate(() => window.violations), [], 'violations of the policy');
  assert.deepEqual(wrong, []);
  await context.close();
}

const card = (page, id) => page.locator(`[data-id="${id}"]`);

// How many points of each canvas have the colour of their line.
function painted(node) {
  return [...node.querySelectorAll('.plot')].map((plot, at) => {
    const canvas = plot.querySelector('canvas');
    if (!canvas) return -1;
    const name = at === 0 ? '--cpu' : '--memory';
    const colour = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const wanted = [1, 3, 5].map((from) => parseInt(colour.slice(from, from + 2), 16));
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 200 && wanted.every((value, part) => Math.abs(value - data[i + part]) < 25)) count += 1;
    }
    return count;
  });
}

const captions = (page, id) => card(page, id).locator('figcaption span').allTextContents();

const scenarios = {
  // words: a container that uses a quarter of a processor and more and more memory, one that sleeps.
  async charts() {
    const [busy, idle] = words;
    const visited = await visit();
    const { page } = visited;
    assert.equal(await page.locator('#list > li').count(), 2);
    for (const id of words) assert.equal(await card(page, id).locator('figure.chart canvas').count(), 2, 'two charts');
    await page.waitForFunction((id) => {
      const [cpu] = document.querySelectorAll(`[data-id="${id}"] figcaption span`);
      return Math.abs(parseFloat(cpu.textContent) - 25) < 8;
    }, busy, { timeout: 20_000 });
    const [cpu, first] = await captions(page, busy);
    assert.match(cpu, / of 25 %$/);
    assert.match(first, / of 256 MiB$/);
    const before = await card(page, busy).evaluate(painted);
    await page.waitForTimeout(9000);
    const after = await card(page, busy).evaluate(painted);
    assert.ok(after[0] > 0 && after[1] > 0 && before[0] >= 0, `nothing is drawn: ${before} ${after}`);
    assert.notDeepEqual(after, before, 'the charts stand still');
    const [, second] = await captions(page, busy);
    assert.notEqual(second, first, 'the figure of its memory stands still');
    assert.ok(parseFloat((await captions(page, idle))[0]) < 5, 'one that sleeps works');
    assert.match(await card(page, busy).locator('.notes').textContent(), /throttled in \d+ periods/);
    await leave(visited);
  },

  // The page asks every ten seconds, with events and without, and never loads itself anew.
  async polling() {
    for (const blocked of [false, true]) {
      const context = await browser.newContext({ viewport: DESK });
      const page = await context.newPage();
      if (blocked) await page.route('**/api/stream', (route) => route.abort());
      const asked = [];
      let loaded = 0;
      page.on('request', (request) => {
        const path = new URL(request.url()).pathname;
        if (path === '/api/containers') asked.push(Date.now());
        if (path === '/') loaded += 1;
      });
      await page.goto(home);
      await page.waitForTimeout(21_500);
      assert.equal(loaded, 1, 'it was loaded anew');
      assert.equal(asked.length, 3, `asked ${asked.length} times in 21 s`);
      for (const at of [1, 2]) {
        const gap = asked[at] - asked[at - 1];
        assert.ok(gap > 9000 && gap < 11_500, `${gap} ms between two`);
      }
      assert.equal(await page.locator('#connection').textContent(), blocked ? 'asking every 10 s' : 'live');
      assert.equal(await page.locator('#list > li').count(), 1);
      await context.close();
    }
  },

  // words: containers with texts in all places that could hold markup.
  async hostile() {
    const visited = await visit();
    const { page } = visited;
    for (const id of words) {
      await card(page, id).getByRole('button', { name: /Details/ }).click();
      await page.waitForSelector('#facts dd');
      await page.waitForTimeout(300);
      const text = await page.locator('#details').textContent();
      assert.ok(text.includes('<img src=x onerror=alert(1)>'), `not shown as text: ${text}`);
      assert.equal(await page.locator('#details :is(img, script, svg, iframe, a)').count(), 0, 'text has become markup');
      assert.ok(!/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(text), 'control characters are shown');
      assert.ok(!text.includes(']52;') && !text.includes('[31m'), 'sequences for terminals are shown');
      await page.keyboard.press('Escape');
    }
    const list = await page.locator('main').innerHTML();
    assert.ok(list.includes('&lt;img src=x onerror=alert(1)&gt;'), 'the command is not shown as text');
    assert.equal(await page.locator('main :is(img, script, svg, iframe)').count(), 0, 'text has become markup');
    await leave(visited);
  },

  // Every colour scheme and width, closed and with details: no fault of contrast, labels or order; and all by keyboard.
  async access() {
    const ways = [
      { colorScheme: 'light' }, { colorScheme: 'dark' },
      { colorScheme: 'light', viewport: PHONE }, { colorScheme: 'dark', viewport: PHONE },
    ];
    for (const way of ways) {
      const visited = await visit(way);
      const { page } = visited;
      await judge(page, way);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} wider than its window`);
      await page.getByRole('button', { name: /Details/ }).first().click();
      await page.waitForSelector('#facts dd');
      await judge(page, way);
      await page.keyboard.press('Escape');
      await leave(visited);
    }
    const visited = await visit();
    const { page } = visited;
    const focused = () => page.evaluate(() => {
      const one = document.activeElement;
      return one.getAttribute('aria-label') ?? (one.id || one.textContent);
    });
    const order = [];
    for (let count = 0; count < 3; count += 1) {
      await page.keyboard.press('Tab');
      order.push(await focused());
    }
    assert.deepEqual(order.slice(0, 2), ['To the containers', 'filter']);
    assert.match(order[2], /^Details and log of /);
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('dialog[open]').count(), 1, 'Enter opens it');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('dialog[open]').count(), 0, 'Escape closes it');
    assert.equal(await focused(), order[2], 'the focus is back where it was');
    await leave(visited);
  },

  // words: how many containers there are. Charts are drawn for what is in view, and the page stays quick.
  async crowd() {
    const many = Number(words[0]);
    const visited = await visit();
    const { page } = visited;
    await page.waitForFunction((many) => document.querySelectorAll('#list > li').length === many, many);
    assert.equal(await page.locator('figure.chart').count(), 2 * many);
    const drawn = await page.locator('canvas').count();
    assert.ok(drawn > 0 && drawn < 60, `${drawn} canvases`);
    await page.locator('#filter').fill('n199');
    assert.equal(await page.locator('#list > li:visible').count(), 1);
    await page.locator('#filter').fill('');
    await page.mouse.wheel(0, 100_000);
    await page.waitForTimeout(500);
    assert.ok(await page.locator('canvas').count() < 60);
    const longest = await page.evaluate(() => new Promise((done) => {
      let longest = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
      }).observe({ entryTypes: ['longtask'] });
      setTimeout(() => done(longest), 6000);
    }));
    assert.ok(longest < 500, `it stood still for ${longest} ms`);
    await leave(visited);
  },

  // words: the token, a container that runs. Its buttons do what they say; without the token they say why not.
  async control() {
    const [token, id] = words;
    const refused = await visit();
    await card(refused.page, id).getByRole('button', { name: /^Stop/ }).click();
    await refused.page.waitForSelector('#trouble:visible');
    assert.match(await refused.page.locator('#trouble').textContent(), /token/);
    await judge(refused.page, 'with trouble');
    await refused.context.close();

    const visited = await visit({}, `#token=${token}`);
    const { page, context } = visited;
    assert.equal(await page.evaluate(() => location.hash + document.cookie), '', 'the token can be seen');
    const state = (word) => page.waitForFunction(
      ([id, word]) => document.querySelector(`[data-id="${id}"] .badge`)?.textContent.startsWith(word), [id, word]);
    const press = (name) => card(page, id).getByRole('button', { name }).click();
    await press(/^Stop/);
    await state('STOPPED');
    await press(/^Start/);
    await state('RUNNING');
    await press(/^Restart/);
    await page.waitForTimeout(1500);
    await state('RUNNING');
    await press(/^Stop/);
    await state('STOPPED');
    await press(/^Remove/);
    assert.equal(await card(page, id).count(), 1, 'removed without a second word');
    await press(/^Really remove/);
    await page.waitForFunction((id) => !document.querySelector(`[data-id="${id}"]`), id);
    assert.deepEqual(visited.wrong, []);
    await context.close();
  },

  // words: the token, one that was killed for want of memory, one of which something was, one that ends again and again.
  async told() {
    const [token, killed, survivor, crashing] = words;
    const visited = await visit({}, `#token=${token}`);
    const { page } = visited;
    const cells = (id, name) => page.locator(`#${id} tbody tr`, { hasText: name }).locator('td').allTextContents();
    await page.waitForFunction(() => ['networks', 'volumes'].every((id) => document.querySelectorAll(`#${id} tbody td`).length > 1));
    const [name, driver, subnet, containers] = await cells('networks', 'seen');
    assert.deepEqual([name, driver, containers], ['seen', 'bridge', '1']);
    assert.match(subnet, /^10\.\d+\.\d+\.\d+\/\d+$/);
    assert.deepEqual((await cells('volumes', 'kept')).slice(0, 3), ['kept', 'local', '1']);
    const noted = (id, text) => page.waitForFunction(
      ([id, text]) => document.querySelector(`[data-id="${id}"] .notes`)?.textContent.includes(text), [id, text]);
    await noted(killed, 'out of memory');
    await noted(survivor, 'out of memory: 1 killed');
    // It waits for its next start, and can be stopped.
    const state = (word) => page.waitForFunction(
      ([id, word]) => document.querySelector(`[data-id="${id}"] .badge`)?.textContent.startsWith(word), [crashing, word]);
    await state('RESTARTING');
    assert.equal(await card(page, crashing).getByRole('button', { name: /^(Start|Remove)/ }).count(), 0);
    await judge(page, 'with buttons');
    await card(page, crashing).getByRole('button', { name: /^Stop/ }).click();
    await state('STOPPED');
    await leave(visited);
  },

  // Two pictures, for the README.
  async pictures() {
    for (const [name, way] of [['web', { colorScheme: 'light' }], ['web-phone', { colorScheme: 'dark', viewport: PHONE }]]) {
      const visited = await visit(way);
      await visited.page.waitForTimeout(Number(words[0] ?? 4000));
      const path = join(folder, `${name}.png`);
      await visited.page.screenshot({ path });
      assert.ok(readFileSync(path).length > 5000, 'an empty picture');
      await leave(visited);
    }
  },
};

async function judge(page, way) {
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run());
  const said = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`);
  assert.deepEqual(said, [], JSON.stringify(way));
  for (const rule of ['color-contrast', 'button-name', 'aria-allowed-role']) {
    assert.ok(passes.some((one) => one.id === rule), `${rule} was not judged`);
  }
}

try {
  await scenarios[scenario]();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
