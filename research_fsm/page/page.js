(() => {
'use strict';
// Data is only ever put into text and attributes: nothing of it is read as markup.
const $ = id => document.getElementById(id);
const read = id => JSON.parse($(id).textContent);
const overview = read('overview');
const people = overview.people;
const PAGE = 100;
const [ID, OWNER, KIND, STATUS, PHASE, SINCE, RUNS, REPORTS, FAILURES, ADDED, NAME] = people.length ? people[0].keys() : Array(11).keys();
const SVG = 'http://www.w3.org/2000/svg';

function make(name, attributes, ...children) {
  const drawn = ['svg', 'g', 'rect', 'circle', 'path', 'text', 'title', 'polyline', 'polygon', 'line'].includes(name);
  const made = drawn ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter(child => child !== ''));
  return made;
}
const time = ms => { const date = new Date(ms); if (isNaN(date)) return 'millisecond ' + ms; const text = date.toISOString(); return text.slice(0, 10) + ' ' + text.slice(11, 23) + 'Z'; };
const coarse = ms => isNaN(new Date(ms)) ? time(ms) : time(ms).slice(0, 19) + 'Z';
function lasting(ms) {
  if (ms < 1000) return ms + ' ms';
  const seconds = ms / 1000;
  if (seconds < 60) return seconds.toFixed(1) + ' s';
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes + ' min ' + Math.round(seconds % 60) + ' s';
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? hours + ' h ' + minutes % 60 + ' min' : Math.floor(hours / 24) + ' days';
}
const many = (count, noun) => count.toLocaleString('en') + ' ' + noun + (count === 1 ? '' : 's');

// --- the list of people: one stop of the Tab key, arrows within ---
const order = people.map((_, index) => index).sort((a, b) => people[b][SINCE] - people[a][SINCE]);
const byId = new Map(people.map((one, index) => [one[ID], index]));
let wanted = 'all', sought = '', found = order, page = 0, active = -1;
const list = $('people');

function choose() {
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  found = order.filter(index => {
    const one = people[index];
    if (wanted !== 'all' && one[STATUS] !== wanted) return false;
    const text = (one[ID] + ' ' + one[OWNER] + ' ' + one[NAME]).toLowerCase();
    return words.every(word => text.includes(word));
  });
  page = 0;
  show();
}
function show() {
  const rows = found.slice(page * PAGE, (page + 1) * PAGE);
  list.replaceChildren(...(rows.length ? rows.map(row) : [make('li', {class: 'none', role: 'presentation'}, 'nobody')]));
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  $('where').textContent = found.length ? (page * PAGE + 1).toLocaleString('en') + '–' + (page * PAGE + rows.length).toLocaleString('en') + ' of ' + found.length.toLocaleString('en') : '0';
  $('earlier').disabled = page === 0;
  $('later').disabled = page + 1 >= pages;
  mark();
}
function row(index) {
  const one = people[index];
  const name = one[NAME] || one[ID];
  const state = one[STATUS] === 'running' ? one[PHASE] : one[STATUS];
  const small = [one[NAME] ? one[ID].slice(0, 8) : '', one[OWNER], coarse(one[SINCE]).slice(0, 16)].filter(Boolean).join(' · ');
  const item = make('li', {role: 'option', id: 'row-' + index, class: one[STATUS], 'aria-selected': 'false'},
    make('span', {class: 'dot', 'aria-hidden': 'true'}),
    make('span', {class: one[NAME] ? 'who' : 'who mono'}, name),
    make('span', {class: 'state'}, state),
    make('span', {class: 'small'}, small));
  item.addEventListener('click', () => pick(index));
  return item;
}
function mark() {
  for (const item of list.querySelectorAll('[aria-selected=true]')) item.setAttribute('aria-selected', 'false');
  const item = $('row-' + active);
  if (item) { item.setAttribute('aria-selected', 'true'); bring(item); list.setAttribute('aria-activedescendant', item.id); }
  else list.removeAttribute('aria-activedescendant');
}
// Scrolls the list alone: the page stays where it is.
function bring(item) {
  const above = item.offsetTop - list.offsetTop - 4, below = above + item.offsetHeight + 8;
  if (above < list.scrollTop) list.scrollTop = above;
  else if (below > list.scrollTop + list.clientHeight) list.scrollTop = below - list.clientHeight;
}
function pick(index) {
  active = index;
  const place = found.indexOf(index);
  if (place >= 0 && Math.floor(place / PAGE) !== page) { page = Math.floor(place / PAGE); show(); } else mark();
  history.replaceState(null, '', '#' + encodeURIComponent(people[index][ID]));
  tell(index);
}
function turn(by) {
  page += by;
  show();
  if (found.length) pick(found[page * PAGE]);
}
list.addEventListener('keydown', event => {
  const last = found.length - 1, here = found.indexOf(active);
  const to = {ArrowDown: here + 1, ArrowUp: here < 0 ? 0 : here - 1, Home: 0, End: last, PageDown: here + 10, PageUp: here - 10}[event.key];
  if (event.key === 'Enter' && active >= 0) { event.preventDefault(); $('detail').focus(); return; }
  if (to === undefined || last < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  pick(found[Math.min(last, Math.max(0, to))]);
});
$('earlier').addEventListener('click', () => turn(-1));
$('later').addEventListener('click', () => turn(1));
$('find').addEventListener('input', event => { sought = event.target.value; choose(); });
$('find').addEventListener('keydown', event => { if (event.key === 'ArrowDown' || event.key === 'Enter') { event.preventDefault(); list.focus(); if (found.length && !found.includes(active)) pick(found[0]); } });
for (const tile of document.querySelectorAll('.tile')) tile.addEventListener('click', () => {
  wanted = tile.dataset.status;
  for (const other of document.querySelectorAll('.tile')) other.setAttribute('aria-pressed', String(other === tile));
  choose();
});
document.addEventListener('keydown', event => {
  if (event.key === '/' && !/^(INPUT|SELECT)$/.test(event.target.tagName)) { event.preventDefault(); tab('people'); $('find').focus(); }
  if (event.key === 'Escape' && $('detail').contains(event.target)) list.focus();
});

// --- one person ---
const blocks = new Map();
function life(index) {
  const number = Math.floor(index / overview.chunk);
  if (!blocks.has(number)) blocks.set(number, read('lives-' + number));
  const block = blocks.get(number);
  return block.lives[index % overview.chunk].map(([position, version, at, type, words, run, credits, actor]) =>
    ({position, version, at, type: block.words[type], words: block.words[words], run, credits: block.words[credits], actor: block.words[actor]}));
}
function tell(index) {
  const one = people[index], events = life(index), runs = runsOf(events);
  const facts = [['owner', one[OWNER] + ' (' + one[KIND] + ')'], ['since', coarse(one[SINCE])], ['runs', one[RUNS]], ['reports', one[REPORTS]], ['added', coarse(one[ADDED])]];
  if (one[FAILURES]) facts.push(['failures in a row', one[FAILURES] + (one[FAILURES] > 1 ? ', for a human' : '')]);
  const badge = one[STATUS] === 'running' ? 'running: ' + one[PHASE] : one[STATUS];
  const parts = [
    make('h2', {id: 'detail-title'}, make('span', {class: one[NAME] ? '' : 'mono'}, one[NAME] || one[ID]), make('span', {class: 'badge ' + one[STATUS]}, badge)),
    one[NAME] ? make('p', {class: 'mono quiet'}, one[ID]) : '',
    make('dl', {class: 'facts'}, ...facts.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, String(value))))),
    make('h3', {}, runs.length ? 'Runs' : 'No run yet'),
    runs.length ? legend() : '',
    ...runs.map(drawn).reverse(),
    make('h3', {}, 'Everything that happened'),
    make('div', {class: 'scroll'}, eventTable(events)),
  ];
  $('detail').replaceChildren(...parts.filter(part => part !== ''));
}
function legend() {
  const entries = [['dispatching', 'dispatching'], ['queued', 'queued'], ['executing', 'executing'], ['mark', 'attempt or callback'], ['coin', 'credits']];
  return make('p', {class: 'key', 'aria-hidden': 'true'}, ...entries.map(([name, words]) => make('span', {}, make('i', {class: 'k-' + name}), words)));
}
// A drawing of what the log says: the rules are in the library, not here.
const OPENS = {RunStarted: 'dispatching', RunDispatched: 'queued', RunClaimed: 'executing'};
const ENDS = {RunCompleted: 'complete', RunFailed: 'failed', RunRolledBack: 'idle', PersonErased: 'erased'};
function runsOf(events) {
  const runs = [];
  let open = null;
  for (const event of events) {
    if (event.type === 'RunStarted') runs.push(open = {number: event.run, from: event.at, to: null, end: 'running', words: 'still open', phases: [], marks: [], credits: []});
    const run = runs.find(one => one.number === event.run) || (event.type === 'PersonErased' ? open : null);
    if (!run) continue;
    if (event.type.startsWith('Credits')) { run.credits.push(event); continue; }
    if (run.to === null && OPENS[event.type] && run.phases.at(-1)?.phase !== OPENS[event.type]) run.phases.push({phase: OPENS[event.type], from: event.at});
    else if (run.to === null && ENDS[event.type]) { run.to = event.at; run.end = ENDS[event.type]; run.words = event.words; open = null; }
    if (/^Attempt|^CallbackRefused$|^RunClaimed$/.test(event.type)) run.marks.push(event);
  }
  return runs;
}
function drawn(run) {
  const WIDTH = 760, end = run.to ?? Math.max(overview.taken, run.from);
  const parts = run.phases.map((one, index) => ({...one, to: run.phases[index + 1]?.from ?? end}));
  const whole = Math.max(1, end - run.from);
  const sizes = parts.map(one => Math.max(34, WIDTH * (one.to - one.from) / whole));
  const scale = WIDTH / sizes.reduce((sum, size) => sum + size, 0);
  let x = 0;
  parts.forEach((one, index) => { one.x = x; one.width = sizes[index] * scale; x += one.width; });
  const at = when => { const part = parts.findLast(one => one.from <= when) ?? parts[0]; return part.x + part.width * Math.min(1, (when - part.from) / Math.max(1, part.to - part.from)); };
  const credits = run.credits.map(event => event.words.replace('credits ', '') + (event.credits === '±0' ? '' : ' ' + event.credits.replace('-', '−'))).join(', ');
  const label = 'run ' + run.number + ', ' + lasting(end - run.from) + ', ' + run.words + (credits ? '; credits ' + credits : '');
  const picture = make('svg', {viewBox: '-8 0 ' + (WIDTH + 30) + ' 58', role: 'img', 'aria-label': label},
    ...parts.map(one => make('g', {}, make('title', {}, one.phase + ', ' + lasting(one.to - one.from)),
      make('rect', {class: 'bar-' + one.phase, x: one.x, y: 14, width: Math.max(1, one.width - 1), height: 22, rx: 3}),
      one.width > 96 ? make('text', {class: 'on-' + one.phase, x: one.x + 8, y: 29}, one.phase + ' ' + lasting(one.to - one.from)) : '')),
    make('circle', {class: 'end-' + run.end, cx: WIDTH + 10, cy: 25, r: 9}, make('title', {}, run.words)),
    ...run.marks.map(event => make('circle', {class: 'mark', cx: at(event.at), cy: 14, r: 4}, make('title', {}, coarse(event.at) + ' ' + event.words))),
    ...run.credits.map(event => { const cx = at(event.at); return make('path', {class: 'coin', d: 'M' + cx + ' 31l5 5l-5 5l-5 -5z'}, make('title', {}, event.words + ' ' + event.credits)); }),
    make('text', {class: 'faint', x: 0, y: 54}, time(run.from)),
    make('text', {class: 'faint', x: WIDTH, y: 54, 'text-anchor': 'end'}, run.to === null ? 'still open' : time(end)));
  return make('figure', {class: 'run'}, make('figcaption', {}, make('b', {}, 'Run ' + run.number), ' · ' + run.words + ' ', make('span', {class: 'quiet'}, '· ' + lasting(end - run.from) + (credits ? ' · credits ' + credits : ''))), picture);
}
const signed = text => make('span', {class: text.startsWith('+') ? 'plus' : text.startsWith('-') ? 'minus' : 'quiet'}, text.replace('-', '−'));
function eventTable(events) {
  const head = make('tr', {}, ...['time', 'what happened', 'run', 'credits', 'by', 'position'].map(name => make('th', {scope: 'col', class: /run|credits|position/.test(name) ? 'number' : ''}, name)));
  const body = events.map(event => make('tr', {}, make('td', {class: 'time mono'}, time(event.at)), make('td', {title: event.type + ', version ' + event.version}, event.words),
    make('td', {class: 'number'}, event.run ? String(event.run) : ''), make('td', {class: 'number'}, signed(event.credits)), make('td', {class: 'quiet'}, event.actor), make('td', {class: 'number quiet'}, String(event.position))));
  return make('table', {}, make('thead', {}, head), make('tbody', {}, ...body));
}

// --- credits ---
let ledgers = null, entriesPage = 0;
function credits(owner) {
  ledgers ??= read('ledgers');
  const owners = Object.keys(ledgers), panel = $('panel-credits');
  if (!owners.length) { panel.replaceChildren(make('section', {class: 'ledger'}, make('p', {class: 'quiet'}, 'No credits were ever granted.'))); return; }
  owner = Object.hasOwn(ledgers, owner) ? owner : owners[0];
  const ledger = ledgers[owner], names = ['available', 'granted', 'revoked', 'held', 'charged', 'refunded'];
  const select = make('select', {id: 'owner'}, ...owners.map(name => make('option', {value: name}, name)));
  select.value = owner;
  select.addEventListener('change', () => { entriesPage = 0; credits(select.value); $('owner').focus(); });
  panel.replaceChildren(make('section', {class: 'ledger', 'aria-label': 'Credits of ' + owner},
    make('label', {for: 'owner'}, 'Owner', select),
    make('dl', {class: 'facts'}, ...names.map((name, index) => make('div', {}, make('dt', {}, name), make('dd', {}, ledger.sums[index].toLocaleString('en'))))),
    curve(ledger), entryTable(ledger, owner)));
}
function curve(ledger) {
  const all = ledger.entries, step = Math.max(1, Math.ceil(all.length / 800));
  const shown = all.filter((_, index) => index % step === 0 || index === all.length - 1).map(entry => entry[7]);
  const top = Math.max(1, ...shown), low = Math.min(0, ...shown);
  const at = (value, index) => [index * 1000 / Math.max(1, shown.length - 1), 100 - 96 * (value - low) / (top - low)];
  const points = shown.map(at);
  // The balance holds until the next entry, so that the line has steps.
  const line = points.map(([x, y], index) => index ? 'H' + x + 'V' + y : 'M' + x + ' ' + y).join('');
  const words = 'Available after each entry: from ' + shown[0].toLocaleString('en') + ' to ' + shown.at(-1).toLocaleString('en') + ', at most ' + top.toLocaleString('en');
  return make('figure', {class: 'curve'}, make('figcaption', {class: 'quiet'}, words),
    make('svg', {viewBox: '0 0 1000 104', preserveAspectRatio: 'none', role: 'img', 'aria-label': words},
      make('path', {class: 'under-credits', d: line + 'V100H0Z'}), make('path', {class: 'line-of-credits', d: line + 'H1000'})));
}
function entryTable(ledger, owner) {
  const count = ledger.entries.length, pages = Math.max(1, Math.ceil(count / PAGE)), from = count - entriesPage * PAGE;
  const rows = ledger.entries.slice(Math.max(0, from - PAGE), from).reverse().map(([position, at, words, amount, index, person, run, available]) => {
    const whose = index >= 0 ? make('a', {href: '#' + people[index][ID], class: people[index][NAME] ? '' : 'mono'}, people[index][NAME] || people[index][ID]) : make('span', {class: 'mono'}, person);
    return make('tr', {}, make('td', {class: 'time mono'}, time(at)), make('td', {}, ledger.words[words]), make('td', {}, whose), make('td', {class: 'number'}, run ? String(run) : ''),
      make('td', {class: 'number'}, signed(ledger.words[amount])), make('td', {class: 'number'}, make('b', {}, available.toLocaleString('en'))), make('td', {class: 'number quiet'}, String(position)));
  });
  const head = ['time', 'what happened', 'person', 'run', 'credits', 'available after', 'position'].map(name => make('th', {scope: 'col', class: /run|credits|after|position/.test(name) ? 'number' : ''}, name));
  const older = make('button', {type: 'button', 'aria-label': 'Earlier entries'}, '›'), newer = make('button', {type: 'button', 'aria-label': 'Later entries'}, '‹');
  older.disabled = entriesPage + 1 >= pages; newer.disabled = entriesPage === 0;
  older.addEventListener('click', () => { entriesPage += 1; credits(owner); });
  newer.addEventListener('click', () => { entriesPage -= 1; credits(owner); });
  const hidden = ledger.total > count ? '; the latest ' + count.toLocaleString('en') + ' are here' : '';
  return make('div', {}, make('h3', {}, many(ledger.total, 'entry').replace('entrys', 'entries') + hidden), make('div', {class: 'scroll'}, make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...rows))),
    pages > 1 ? make('div', {class: 'pager', role: 'group', 'aria-label': 'Pages of entries'}, newer, make('span', {}, 'page ' + (entriesPage + 1) + ' of ' + pages), older) : '');
}

// --- tabs, and links to a person ---
function tab(name) {
  for (const one of ['people', 'credits']) {
    const chosen = one === name;
    $('tab-' + one).setAttribute('aria-selected', String(chosen));
    $('tab-' + one).tabIndex = chosen ? 0 : -1;
    $('panel-' + one).hidden = !chosen;
  }
  if (name === 'credits') credits($('owner')?.value);
}
for (const name of ['people', 'credits']) $('tab-' + name).addEventListener('click', () => tab(name));
document.querySelector('[role=tablist]').addEventListener('keydown', event => {
  if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
  const other = $('tab-people').getAttribute('aria-selected') === 'true' ? 'credits' : 'people';
  tab(other);
  $('tab-' + other).focus();
});
function linked() {
  const index = byId.get(decodeURIComponent(location.hash.slice(1)));
  if (index === undefined) return;
  tab('people');
  if (!found.includes(index)) { wanted = 'all'; sought = ''; $('find').value = ''; for (const tile of document.querySelectorAll('.tile')) tile.setAttribute('aria-pressed', String(tile.dataset.status === 'all')); choose(); }
  pick(index);
  $('detail').focus();
}
addEventListener('hashchange', linked);
addEventListener('DOMContentLoaded', linked);
choose();
})();
