/* Draws the surface and the contours of a plane as the switches choose, and links them: what is pointed at in
   one is marked in the other. Words in `content` are HTML already, as the drawing library reads them. */
(() => {
const content = JSON.parse(document.getElementById('content').textContent);
const solid = document.getElementById('surface'), flat = document.getElementById('contours');
const facts = document.getElementById('facts');

const MISSING = 0, EVALUATED = 1, INTERPOLATED = 2;
const STATUS = ['missing', 'evaluated', 'interpolated', 'diverged'];
const GRID = '#DDD', QUIET = '#8C8C8C', POINTED = '#D55E00';
const MANY = 4000;  // more crosses than these are thinned: a browser draws them slowly
const [STEM, DOT] = [2, 3];  // the traces of the surface's panel that follow the pointer

const bytes = (packed) => Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
const floats = (packed) => new Float64Array(bytes(packed).buffer);
const each = (object, of) => Object.fromEntries(Object.entries(object).map(([key, own]) => [key, of(own)]));

const [x, y] = content.axes.map((axis) => floats(axis.at));
const stages = content.stages.map((stage) => ({
  ...stage,
  splits: stage.splits.map((split) => (
    {...split, status: bytes(split.status), numbers: each(split.numbers, floats)}
  )),
}));
const slider = document.getElementById('stage');  // none where there is one stage
const path = content.path && {
  ...content.path,
  at: content.path.at.map(floats),
  heights: content.path.heights.map((values) => each(values, (scales) => each(scales, floats))),
};
const cell = (i, j) => i * y.length + j;
const coordinates = (index) => [x[Math.floor(index / y.length)], y[index % y.length]];
const indices = Array.from({length: x.length * y.length}, (_, index) => index);
const within = (place, bounds) => place.every(
  (own, k) => own >= Math.min(...bounds[k]) && own <= Math.max(...bounds[k]),
);
const grid = (of) => Array.from(y, (_, j) => Array.from(x, (_, i) => of(cell(i, j))));  // rows β, columns α

let now;             // what is drawn: stage, split, value, scale, and where its numbers are placed
let wanted = null;   // the scale that was chosen, for the values that have it
let zoom = null;     // the ranges of α and β that are looked at; all of them by default
let pointed = null;  // the place that is pointed at, or was last
let camera = null;   // from where the surface is looked at, once it was turned
let turned = 1;      // counts the views, from one reset to the next; 0 would say nothing to the library

/* Ticks between two heights at round numbers: on a logarithmic scale 1, 2 and 5 times powers of ten, or
   powers of ten at an even step where those are many; a tick of 0 where zeros are drawn below all else. */
function ticks([low, high], most) {
  const log = now.scale === 'log';
  let found = even(low, high, most);
  if (log) {
    const powers = even(Math.floor(low), Math.ceil(high), Math.ceil(high) - Math.floor(low));
    const step = Math.ceil(powers.length / most);
    found = 3 * (high - low) <= most ?
      powers.flatMap((power) => [1, 2, 5].map((times) => times * 10 ** power)) :
      powers.filter((power) => power % step === 0).map((power) => 10 ** power);
    found = found.filter((own) => Math.log10(own) >= low && Math.log10(own) <= high);
    if (found.length < 2) found = even(10 ** low, 10 ** high, most).filter((own) => own > 0);
  }
  const zero = now.zeros && low <= now.floor;
  return {
    tickmode: 'array',
    tickvals: [...(zero ? [now.floor] : []), ...found.map((own) => (log ? Math.log10(own) : own))],
    ticktext: [...(zero ? ['0'] : []), ...found.map(label)],
  };
}

/* Coordinates and values in words; `values` by name, null where one is not finite. */
function said(place, values) {
  const known = Object.entries(content.values).filter(([name]) => name in values);
  return [
    ...place.map((own, axis) => `${content.axes[axis].short} = ${short(own, 4)}`),
    ...known.map(([name, {short: word, factor, unit}]) => {
      const number = values[name] === null ? 'not finite' : short(factor * values[name], 5);
      return `${word} = ${number} ${unit}`.trim();
    }),
  ];
}

/* Places that can be pointed at: where they are, how high, and what is said of them. */

const ofCell = (index) => ({
  at: coordinates(index),
  cell: index,
  height: () => now.shown(index),
  words: (split = now.split) => [
    ...said(coordinates(index), each(split.numbers, (own) => own[index])), STATUS[split.status[index]],
  ],
});

const ofPoint = ({at}, k) => {
  const own = () => now.stage.points[k], values = () => own().values[now.number];
  return {
    at,
    height: () => now.place(now.value.factor * (values()[now.name] ?? NaN)),
    words: () => [own().name, ...said(at, values())],
  };
};

const ofCheckpoint = (k) => {
  const at = path.at.map((own) => own[k * path.every]);
  return {
    at,
    height: () => path.heights[now.number][now.name][now.scale][k * path.every],
    words: () => [path.names[k], ...said(at, path.values[now.number][k])],
  };
};

const special = stages[0].points.map(ofPoint);  // each stage has them at the same places
const checkpoints = path ? path.names.map((_, k) => ofCheckpoint(k)) : [];

/* What the switches choose. */

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function choose() {
  const name = chosen('value'), value = content.values[name];
  const stage = stages[slider ? Number(slider.value) : 0];
  const number = Number(chosen('split')), split = stage.splits[number], numbers = split.numbers[name];
  const scale = wanted in value.scales ? wanted : value.start;
  for (const input of document.querySelectorAll('input[name="scale"]')) {
    input.disabled = !(input.value in value.scales);
    input.checked = input.value === scale;
  }
  const {floor, colours, heights} = value.scales[scale];
  const logarithm = (own) => own > 0 ? Math.log10(own) : floor;
  const place = (own) => !Number.isFinite(own) ? NaN : scale === 'log' ? logarithm(own) : own;
  const known = (index) => [EVALUATED, INTERPOLATED].includes(split.status[index]);
  const shown = (index) => known(index) ? place(value.factor * numbers[index]) : NaN;
  const zeros = scale === 'log' && numbers.some((own) => own <= 0);
  return {stage, name, value, number, split, scale, floor, colours, heights, place, shown, zeros};
}

const ranges = () => (zoom ?? content.axes.map((axis) => axis.range)).map((own) => [...own]);  // written to

/* The heights to show: all, or where the contours are zoomed those of the cells in view. */
function reach() {
  const seen = zoom ? indices.filter((index) => within(coordinates(index), zoom)).map(now.shown) : [];
  const [low, high] = seen.filter(Number.isFinite).reduce(
    ([least, most], own) => [Math.min(least, own), Math.max(most, own)], [Infinity, -Infinity],
  );
  if (low < high) return [low, high];
  return [now.zeros ? Math.min(now.heights[0], now.floor) : now.heights[0], now.heights[1]];
}

/* The pictures. */

const config = (...buttons) => (
  {displaylogo: false, responsive: true, modeBarButtons: [['toImage', ...buttons]]}
);
const common = {
  font: {family: 'DejaVu Sans, Verdana, sans-serif', size: 12, color: INK},
  showlegend: false,
  hovermode: 'closest',
};

function draw() {
  now = choose();
  now.split.text ??= grid((index) => ofCell(index).words(now.split).join('<br>'));
  const isolines = even(...now.colours, 16);
  const cells = {
    x, y, z: grid(now.shown), text: now.split.text, hovertemplate: '%{text}<extra></extra>',
    colorscale: now.value.colours, connectgaps: false,
  };
  const levels = {start: isolines[0], end: isolines.at(-1), size: isolines[1] - isolines[0]};
  const title = content.splits[now.number][now.name];
  drawSurface(cells, levels, title);
  drawContours(cells, levels, title);
  if (pointed) point(pointed);
  if (!slider) return;
  const words = document.getElementById('stage-name');
  words.innerHTML = now.stage.name;
  slider.setAttribute('aria-valuetext', words.textContent);
}

function drawSurface(cells, levels, title) {
  const [low, high] = reach();
  now.bounds = [low - 0.3 * (high - low), high];
  const whole = !cells.z.flat().some(Number.isNaN);  // about holes isolines take seconds to draw
  const line = {type: 'scatter3d', mode: 'lines', hoverinfo: 'skip', x: [], y: [], z: []};
  const onPath = path && {x: path.at[0], y: path.at[1], z: path.heights[now.number][now.name][now.scale]};
  const traces = [
    {
      type: 'surface', ...cells, cmin: now.colours[0], cmax: now.colours[1], showscale: false,
      contours: {z: {show: whole, usecolormap: true, project: {z: true}, ...levels}},
    },
    {...line, line: {color: INK, width: 4}, ...onPath},
    {...line, line: {color: POINTED, width: 4}},
    {...line, mode: 'markers', marker: {size: 6, color: POINTED, line: {color: PAPER, width: 2}}},
  ];
  const bounds = [...ranges(), now.bounds];
  const marked = special.map(({at, height}, k) => ({place: [...at, height()], ...now.stage.points[k]}));
  const seen = marked.filter(({place}) => within(place, bounds));
  const annotations = seen.flatMap(({place, name, star}) => {
    const own = sign(place, star);
    return [own, {...own, text: name, yshift: 15, font: {shadow: HALO(PAPER)}}];
  });
  const edge = (text, range) => ({title: {text}, range, gridcolor: GRID, zeroline: false, showspikes: false});
  const scene = {
    uirevision: turned,
    camera: camera ?? VIEW,
    aspectmode: 'manual',
    aspectratio: {x: 1, y: 1, z: 0.8},
    xaxis: edge(content.axes[0].short, bounds[0]),
    yaxis: edge(content.axes[1].short, bounds[1]),
    zaxis: {...edge('', bounds[2]), ...ticks([low, high], 7)},  // its title, above all, meets no tick
    annotations,
  };
  Plotly.react(solid, traces, {
    ...common, scene, margin: {l: 0, r: 0, t: 30, b: 0},
    title: {text: title, font: {size: 13}, x: 0.02, xanchor: 'left', y: 0.98, yanchor: 'top'},
  }, config('zoom3d', 'pan3d', 'orbitRotation', 'tableRotation'));
}

function drawContours(cells, levels, title) {
  const marks = (places, more) => {
    const [x, y] = [0, 1].map((k) => places.map((own) => own.at[k]));
    return {type: 'scatter', mode: 'markers', hoverinfo: 'skip', x, y, ...more};
  };
  const spoken = (places) => ({
    hoverinfo: 'text',
    hovertemplate: '%{hovertext}<extra></extra>',
    hovertext: places.map((own) => own.words().join('<br>')),
  });
  const marker = {color: PAPER, line: {color: INK, width: 1}};
  const [left, right] = ranges()[0];
  const beside = ({at: [a]}) => {  // names stay off the colour bar and the axis
    const across = (a - left) / (right - left);
    return `top ${across < 0.25 ? 'right' : across > 0.75 ? 'left' : 'center'}`;
  };
  const {status} = now.split;
  const open = indices.filter((index) => status[index] !== MISSING && Number.isNaN(now.shown(index)));
  const every = Math.ceil(Math.sqrt(open.length / MANY)), kept = (number) => number % every === 0;
  const crossed = open.filter((index) => kept(Math.floor(index / y.length)) && kept(index % y.length));
  const some = status.includes(INTERPOLATED);
  const evaluated = indices.filter((index) => some && status[index] === EVALUATED);
  const traces = [
    {
      type: 'contour', ...cells, zmin: now.colours[0], zmax: now.colours[1], line: {width: 0.5},
      contours: {coloring: 'heatmap', ...levels},
      colorbar: {
        title: {text: title, side: 'right'}, thickness: 16, outlinewidth: 0, ...ticks(now.colours, 10),
      },
    },
    marks(crossed.map(ofCell), {name: 'open', marker: {symbol: 'x', size: 4, color: QUIET}}),
    marks(evaluated.map(ofCell), {name: 'evaluated', marker: {size: 2.5, color: PAPER}}),
    marks(checkpoints, {
      mode: 'lines+markers', name: 'path', ...spoken(checkpoints), line: {color: INK, width: 2},
      marker: {...marker, size: 5},
    }),
    marks(special, {
      mode: 'markers+text', name: 'points', ...spoken(special), text: now.stage.points.map((own) => own.name),
      textposition: special.map(beside), cliponaxis: false, textfont: {color: PAPER, shadow: HALO(INK)},
      marker: {...marker, size: 9, symbol: now.stage.points.map((own) => own.symbol)},
    }),
  ];
  const [xaxis, yaxis] = ranges().map((range, k) => (
    {title: {text: content.axes[k].label}, range, zeroline: false, gridcolor: GRID, exponentformat: 'power'}
  ));
  Plotly.react(flat, traces, {...common, xaxis, yaxis, shapes: [], margin: {l: 60, r: 10, t: 30, b: 50}},
    config('zoom2d', 'pan2d', 'zoomIn2d', 'zoomOut2d'));
}

/* The pointer. */

/* Mark a place in both panels, with the surface's sections through a cell, and say what is known of it. */
function point(place) {
  pointed = place;
  const {at: [a, b], cell: index} = place, height = place.height(), [bottom, top] = now.bounds;
  const stem = [[a, a], [b, b], [bottom, Number.isFinite(height) ? height : top]];
  const line = stem.map((own, k) => index === undefined ? own : [...own, null, ...sections(index)[k]]);
  Plotly.restyle(solid, {x: [line[0], [a]], y: [line[1], [b]], z: [line[2], [height]]}, [STEM, DOT]);
  const rule = (own) => ({type: 'line', line: {color: POINTED, width: 1}, ...own});
  Plotly.relayout(flat, {shapes: [
    rule({xref: 'x', yref: 'paper', x0: a, x1: a, y0: 0, y1: 1}),
    rule({xref: 'paper', yref: 'y', x0: 0, x1: 1, y0: b, y1: b}),
  ]});
  facts.innerHTML = place.words().join(' &ensp; ');
}

function sections(index) {
  const [i, j] = [Math.floor(index / y.length), index % y.length];
  return [
    [...x, null, ...Array.from(y, () => x[i])],
    [...Array.from(x, () => y[j]), null, ...y],
    [...indices.slice(0, x.length).map((k) => now.shown(cell(k, j))), null,
     ...indices.slice(0, y.length).map((k) => now.shown(cell(i, k)))],
  ];
}

function nearest(axis, number) {
  return axis.reduce((best, own, k) => Math.abs(own - number) < Math.abs(axis[best] - number) ? k : best, 0);
}

/* The place under the pointer; drawing it waits for the screen, which may be slower than the pointer. */
let next = null;
let held = false;  // while the surface is turned nothing is marked: each mark draws it anew
function follow({points: [found]}) {
  const {name} = found.data;
  const listed = {path: checkpoints, points: special}[name];
  const place = listed ? listed[found.pointNumber] : ofCell(cell(nearest(x, found.x), nearest(y, found.y)));
  const known = next ?? pointed;  // drawing the surface anew has it say again what is pointed at
  if (held || (known?.cell === place.cell && known?.at.every((own, k) => own === place.at[k]))) return;
  if (next === null) requestAnimationFrame(() => { const latest = next; next = null; point(latest); });
  next = place;
}

function step(event) {
  const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
  if (!by) return;
  event.preventDefault();
  const middle = [x[x.length >> 1], y[y.length >> 1]];
  const to = (axis, k) => nearest(axis, (pointed?.at ?? middle)[k]) + by[k];
  point(ofCell(cell(...[x, y].map((axis, k) => Math.min(Math.max(to(axis, k), 0), axis.length - 1)))));
}

function cut(event) {
  if (!Object.keys(event).some((key) => /^[xy]axis\.(range|autorange)/.test(key))) return;
  const whole = event['xaxis.autorange'] || event['yaxis.autorange'];
  zoom = whole ? null : [flat.layout.xaxis.range, flat.layout.yaxis.range].map((own) => [...own]);
  draw();
}

draw();
for (const pane of [solid, flat]) pane.on('plotly_hover', follow);
solid.addEventListener('pointerdown', () => { held = true; }, true);
window.addEventListener('pointerup', () => { held = false; }, true);
flat.on('plotly_relayout', cut);
solid.on('plotly_relayout', (event) => { camera = event['scene.camera'] ?? camera; });
flat.addEventListener('keydown', step);
for (const input of document.querySelectorAll('.switches input')) {
  input.addEventListener('change', () => {
    if (input.name === 'scale') wanted = input.value;
    draw();
  });
}
let asked = false;  // a stage, which is drawn with the next picture of the screen
slider?.addEventListener('input', () => {
  if (!asked) requestAnimationFrame(() => { asked = false; draw(); });
  asked = true;
});
document.getElementById('reset').addEventListener('click', () => {
  [zoom, camera] = [null, null];
  turned += 1;
  draw();
});
})();
