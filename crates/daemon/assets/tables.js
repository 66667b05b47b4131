// Networks and volumes.

import { element, plain } from './format.js';

const KINDS = {
  networks: [
    ['Name', (one) => one.name],
    ['Driver', (one) => one.driver],
    ['Subnets', (one) => one.subnets.join(' ') || '–'],
    ['Containers', (one) => String(one.containers)],
  ],
  volumes: [
    ['Name', (one) => (one.anonymous ? `${one.name.slice(0, 12)} (unnamed)` : one.name)],
    ['Driver', (one) => one.driver],
    ['Containers', (one) => String(one.containers)],
    ['Where', (one) => one.mountpoint],
  ],
};

export async function refresh() {
  await Promise.all(Object.keys(KINDS).map(async (kind) => {
    const answer = await fetch(`/api/${kind}`);
    if (!answer.ok) return;
    show(document.getElementById(kind), KINDS[kind], (await answer.json())[kind]);
  }));
}

function show(table, columns, all) {
  const rows = all.map((one) => columns.map(([, of]) => plain(of(one))));
  const said = JSON.stringify(rows);
  if (table.dataset.said === said) return;
  table.dataset.said = said;
  const head = element('tr', {}, ...columns.map(([title]) => element('th', { scope: 'col', text: title })));
  const none = element('tr', {}, element('td', { colspan: columns.length, text: 'none' }));
  const body = rows.map((row) => element('tr', {}, ...row.map((text) => element('td', { text }))));
  table.replaceChildren(element('thead', {}, head), element('tbody', {}, ...(body.length ? body : [none])));
}
