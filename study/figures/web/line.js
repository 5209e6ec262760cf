/* Draws the curves of a line, and does what the switches say. */
(() => {
const content = JSON.parse(document.getElementById('content').textContent);
const pane = document.getElementById('curves');
const {data, layout} = content;
const owners = data.map((trace) => trace.meta), whole = [...layout.yaxis2.range];
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function scale() {
  const type = chosen('scale');
  const dtick = type === 'log' ? layout.meta.dtick : null;
  return {'yaxis.type': type, 'yaxis.dtick': dtick, 'yaxis.autorange': true};
}

function draw() {
  const split = chosen('split');
  Plotly.update(pane, {visible: owners.map((own) => split === 'all' || own === Number(split))}, scale());
}

Plotly.newPlot(pane, data, layout, {
  displaylogo: false,
  responsive: true,
  modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'zoomIn2d', 'zoomOut2d']],
});
draw();
for (const input of document.querySelectorAll('.switches input')) input.addEventListener('change', draw);
document.getElementById('reset').addEventListener('click', () => Plotly.relayout(pane, {
  ...scale(), 'xaxis.autorange': true, 'yaxis2.range': [...whole],
}));
})();
