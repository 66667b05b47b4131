// What may be changed from here, where the daemon was started with --web-control. The right to it is a cookie that scripts
// cannot read; it is got with the token in the address that stands in the daemon's file.

import { element } from './format.js';

const SURE = 4000;
let trouble = () => {};

export async function begin(tell) {
  trouble = tell;
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (!token) return;
  // Out of the address and the history, before anything else.
  history.replaceState(null, '', location.pathname);
  await send('/api/session', { token });
}

// The verbs that make sense where it stands.
export function offer(place, one, name, control, goes) {
  const verbs = !control ? [] : goes ? ['stop', 'restart'] : ['start', 'remove'];
  if (place.dataset.verbs === verbs.join(' ')) return;
  place.dataset.verbs = verbs.join(' ');
  for (const old of place.querySelectorAll('[data-verb]')) old.remove();
  place.append(...verbs.map((verb) => button(one.id, name, verb)));
}

function button(id, name, verb) {
  const word = verb[0].toUpperCase() + verb.slice(1);
  const made = element('button', { type: 'button', 'data-verb': verb, text: word, 'aria-label': `${word} ${name}` });
  let sure = verb !== 'remove';
  made.addEventListener('click', async () => {
    if (!sure) {
      sure = true;
      made.textContent = 'Really remove?';
      made.setAttribute('aria-label', `Really remove ${name}?`);
      setTimeout(() => {
        sure = false;
        made.textContent = word;
        made.setAttribute('aria-label', `${word} ${name}`);
      }, SURE);
      return;
    }
    made.disabled = true;
    await send(`/api/containers/${id}/${verb}`);
    made.disabled = false;
  });
  return made;
}

async function send(address, body) {
  const headers = { 'X-Tinyd-Control': '1' };
  if (body) headers['Content-Type'] = 'application/json';
  try {
    const answer = await fetch(address, { method: 'POST', headers, body: body && JSON.stringify(body) });
    trouble(answer.ok ? '' : (await answer.json()).error);
  } catch (error) {
    trouble(`the daemon does not answer: ${error.message}`);
  }
}
