// A container: where it stands, what it uses of what it may use, its charts.

import { Chart, History, forget, watch } from './charts.js';
import { offer } from './control.js';
import { bytes, element, percent, plain, since, write } from './format.js';

export class Card {
  constructor(id, open) {
    this.id = id;
    this.one = { id };
    this.history = new History();
    this.name = element('h3');
    this.badge = element('span', { class: 'badge' });
    this.what = element('p', { class: 'what' });
    this.notes = element('p', { class: 'notes' });
    this.cpu = figure('CPU');
    this.memory = figure('Memory');
    this.charts = [Chart.cpu(this.cpu.plot), Chart.memory(this.memory.plot)];
    this.details = element('button', { type: 'button', text: 'Details and log' });
    this.details.addEventListener('click', () => open(this.one));
    this.buttons = element('div', { class: 'buttons' }, this.details);
    this.node = element('li', { class: 'card', 'data-id': id },
      element('div', { class: 'top' }, this.name, this.badge),
      this.what,
      element('div', { class: 'charts' }, this.cpu.node, this.memory.node),
      this.notes,
      this.buttons);
    watch(this.node, this.charts);
  }

  // `one` may be the short form of /api/containers: what it does not tell stays as it was.
  update(one, control, seconds) {
    const runs = one.state === 'RUNNING' || one.state === 'PAUSED';
    this.one = { ...this.one, ...one };
    const now = this.one;
    const name = plain(now.name ?? now.id.slice(0, 12));
    write(this.name, name);
    this.details.setAttribute('aria-label', `Details and log of ${name}`);
    this.state(now);
    const command = plain([now.image ?? '', ...(now.command ?? [])].join(' '));
    write(this.what, command);
    this.what.title = command;
    if (one.cpu_percent !== undefined) {
      this.history.add(seconds, one.cpu_percent, one.memory_usage);
      const limit = one.cpu_limit > 0 ? ` of ${percent(one.cpu_limit / 1000)}` : '';
      this.cpu.say(`${percent(one.cpu_percent)}${limit}`);
      this.memory.say(`${bytes(one.memory_usage)} of ${bytes(one.memory_limit)}`);
      for (const chart of this.charts) chart.update(this.history);
    } else if (!runs) {
      this.cpu.say('not running');
      this.memory.say('not running');
    }
    this.tell(now, runs);
    // One that waits for its next start can be stopped, and cannot be started or removed.
    offer(this.buttons, now, name, control, runs || now.state === 'RESTARTING');
  }

  state(now) {
    const failed = now.state === 'STOPPED' && (now.exit_code ?? 0) !== 0;
    const lost = now.host_restarted ? ' (host restart)' : ' (?)';
    const code = now.exit_unknown ? lost : failed ? ` (${now.exit_code})` : '';
    write(this.badge, `${now.state}${now.state === 'STOPPED' ? code : ''}`);
    this.badge.className = `badge ${failed ? 'failed' : now.state.toLowerCase()}`;
  }

  tell(now, runs) {
    const notes = [];
    if (now.oom_killed && !runs) notes.push(['alarm', 'out of memory']);
    if (runs && now.oom_kills > 0) notes.push(['alarm', `out of memory: ${now.oom_kills} killed`]);
    if (runs && now.throttled_periods > 0) {
      const more = now.throttled_periods > (this.throttled ?? now.throttled_periods);
      notes.push([more ? 'warn' : '', `throttled in ${now.throttled_periods} periods`]);
    }
    this.throttled = now.throttled_periods;
    if (runs && now.pids) notes.push(['', `${now.pids}${now.pids_limit ? ` of ${now.pids_limit}` : ''} processes`]);
    if (runs && now.started_ms) notes.push(['', `up ${since(now.started_ms)}`]);
    if (now.ports?.length) notes.push(['', `ports ${now.ports.join(' ')}`]);
    const text = notes.map(([, note]) => plain(note));
    if (this.notes.dataset.said === text.join('\n')) return;
    this.notes.dataset.said = text.join('\n');
    this.notes.replaceChildren(...notes.map(([kind], at) => element('span', { class: kind, text: text[at] })));
  }

  remove() {
    forget(this.node);
    this.node.remove();
  }
}

// A chart with its words: who does not see it hears them.
function figure(title) {
  const value = element('span', { text: '…' });
  const plot = element('div', { class: 'plot', role: 'img', 'aria-label': `${title} over time` });
  const node = element('figure', { class: 'chart' }, element('figcaption', {}, element('b', { text: title }), value), plot);
  const say = (text) => {
    write(value, text);
    plot.setAttribute('aria-label', `${title} over time, now ${text}`);
  };
  return { node, plot, say };
}
