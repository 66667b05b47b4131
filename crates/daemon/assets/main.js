// The page: it is told of the containers every two seconds by server-sent events, and asks every ten seconds by itself,
// whether those come or not.

import { Card } from './card.js';
import { begin } from './control.js';
import { open } from './details.js';
import { bytes, percent, plain, write } from './format.js';
import { refresh } from './tables.js';

const ASK = 10_000;
const at = (id) => document.getElementById(id);
const list = at('list');
const filter = at('filter');
const cards = new Map();
let control = false;
let live = false;

// Of `look`, what a look at the containers says, is nothing left when the next one succeeds.
function trouble(text, from = 'deed') {
  if (text === '' && at('trouble').dataset.from !== from) return;
  at('trouble').dataset.from = from;
  write(at('trouble'), plain(text));
  at('trouble').hidden = text === '';
}

function machine(system) {
  write(at('machine-cpu'), percent(system.cpu_percent));
  write(at('machine-memory'), `${bytes(system.used_memory)} of ${bytes(system.total_memory)}`);
}

// The containers as they are now, newest first.
function containers(all) {
  const seconds = Date.now() / 1000;
  const there = new Set(all.map((one) => one.id));
  for (const [id, card] of cards) {
    if (there.has(id)) continue;
    card.remove();
    cards.delete(id);
  }
  let before = null;
  for (const one of all) {
    let card = cards.get(one.id);
    if (!card) {
      card = new Card(one.id, open);
      cards.set(one.id, card);
    }
    card.update(one, control, seconds);
    const place = before ? before.nextSibling : list.firstChild;
    if (place !== card.node) list.insertBefore(card.node, place);
    before = card.node;
  }
  const running = all.filter((one) => one.state === 'RUNNING').length;
  write(at('running'), `${running} of ${all.length}`);
  at('empty').hidden = all.length > 0;
  sift();
}

function sift() {
  const word = filter.value.trim().toLowerCase();
  for (const { node, one } of cards.values()) {
    const text = [one.id, one.name, one.image, one.state, ...(one.command ?? [])].join(' ').toLowerCase();
    node.hidden = !text.includes(word);
  }
}

function overview(all) {
  control = all.control;
  machine(all.system);
  containers(all.containers);
}

function listen() {
  const source = new EventSource('/api/stream');
  source.addEventListener('sample', (event) => {
    live = true;
    write(at('connection'), 'live');
    trouble('', 'look');
    overview(JSON.parse(event.data));
  });
  source.addEventListener('trouble', (event) => trouble(JSON.parse(event.data).error, 'look'));
  source.addEventListener('error', () => {
    if (live) write(at('connection'), 'connecting anew');
    live = false;
    // The browser tries again by itself unless it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, ASK);
  });
}

async function get(address) {
  const answer = await fetch(address);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

async function ask() {
  try {
    const [all, system] = await Promise.all([get('/api/containers'), get('/api/system')]);
    machine(system);
    containers(all.containers);
    if (!live) {
      overview(await get('/api/overview'));
      write(at('connection'), 'asking every 10 s');
    }
    await refresh();
    trouble('', 'look');
  } catch (error) {
    write(at('connection'), 'the daemon does not answer');
    if (!(error instanceof TypeError)) trouble(error.message, 'look');
  }
}

filter.addEventListener('input', sift);
await begin(trouble);
listen();
await ask();
setInterval(ask, ASK);
