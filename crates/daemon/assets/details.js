// All that is told of one container, and its log for as long as one looks at it.

import { element, plain, write } from './format.js';

const EVERY = 2000;
const dialog = document.getElementById('details');
const facts = document.getElementById('facts');
const log = document.getElementById('log');
let shown = null;
let timer = null;

export function open(one) {
  shown = one.id;
  write(document.getElementById('details-title'), plain(one.name ?? one.id.slice(0, 12)));
  facts.replaceChildren();
  log.replaceChildren();
  dialog.showModal();
  tell(one);
  follow(one.id);
}

document.getElementById('details-close').addEventListener('click', () => dialog.close());
dialog.addEventListener('close', () => {
  shown = null;
  clearTimeout(timer);
});

async function get(address) {
  const answer = await fetch(address);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

async function tell(one) {
  try {
    const all = await get(`/api/containers/${one.id}`);
    if (shown !== one.id) return;
    const lines = [
      ['Id', all.id],
      ['Image', one.image],
      ['Command', all.command.join(' ')],
      ['Process', one.pid ? String(one.pid) : ''],
      ['Host name', all.hostname],
      ['User', all.user],
      ['Folder', all.working_dir],
      ['Networks', all.addresses.map((pair) => pair.filter(Boolean).join(' ')).join(', ')],
      ['Ports', (one.ports ?? []).join(' ')],
      ['Volumes', (one.volumes ?? []).join(' ')],
      ['Labels', Object.entries(all.labels).map(([key, value]) => `${key}=${value}`).join('\n')],
      ['Environment', `${all.environment.join(' ')} (names only)`],
      ['Last failure', all.error],
    ];
    const filled = lines.filter(([, value]) => value);
    facts.replaceChildren(...filled.flatMap(([key, value]) => [
      element('dt', { text: key }), element('dd', { text: plain(value) })]));
  } catch (error) {
    facts.replaceChildren(element('dt', { text: 'Trouble' }), element('dd', { text: plain(error.message) }));
  }
}

async function follow(id) {
  try {
    const { lines } = await get(`/api/containers/${id}/logs?tail=300`);
    if (shown !== id) return;
    const last = lines.at(-1);
    const mark = `${lines.length} ${last?.time_ms} ${last?.text}`;
    if (log.dataset.mark !== mark || !log.hasChildNodes()) {
      log.dataset.mark = mark;
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      log.replaceChildren(...lines.map((line) => element('span', { class: line.stream, text: `${plain(line.text)}\n` })));
      if (!last) log.append('nothing was written yet');
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
  } catch (error) {
    if (shown === id) log.replaceChildren(`the log cannot be read: ${plain(error.message)}`);
  }
  if (shown === id) timer = setTimeout(() => follow(id), EVERY);
}
