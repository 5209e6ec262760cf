// Surfaces side by side: one scale for all, one camera, and switches that choose what all of them show.
"use strict";

const RAISED = 0.03; // of the heights' range: so far above the surface the pointer finds a special point whole
const away = (at) => 1.12 * at; // small panels: the labels at their sides need room
const CAMERA = { ...VIEW, eye: { x: away(VIEW.eye.x), y: away(VIEW.eye.y), z: away(VIEW.eye.z) } };

/** Where a value is drawn: at itself, or at its decimal logarithm. */
function placed(value, view) {
  if (value === null || value === undefined) return null;
  return view.log ? (value > 0 ? Math.log10(value) : view.floor) : value;
}

/** What is shown under the pointer at a place of a panel: the run, the coordinates, every value, the status. */
function facts(data, panel, heading, x, y, values, status) {
  const lines = [`<b>${literal(panel.label)}</b>`, ...heading.map(literal)];
  lines.push(`${literal(data.short[0])} = ${figures(x)}, ${literal(data.short[1])} = ${figures(y)}`);
  for (const fact of data.facts) {
    if (values[fact.key] !== undefined) {
      lines.push(`${literal(fact.name)} = ${figures(values[fact.key])}${literal(fact.suffix)}`);
    }
  }
  return [...lines, status].filter(Boolean).join("<br>");
}

/** The special points of a panel that have a value: where they are, and what is shown under the pointer. */
function specials(data, panel, view) {
  return panel.marks.flatMap(({ name, x, y, star, values }) => {
    const own = values[view.split] ?? {}, z = placed(own[view.value], view);
    return z === null ? [] : [{ x, y, z, star, text: facts(data, panel, [name], x, y, own, "") }];
  });
}

/** The traces of a panel: the surface, what the pointer finds of special points, gaps on the floor, the path. */
function surfaceTraces(data, panel, which) {
  const view = data.views[which], own = panel.splits[view.split], { x, y } = panel;
  const cell = (i, j) => i * y.length + j; // α runs along rows
  const at = (i, j) => Object.fromEntries(data.facts.map(({ key }) => [key, own[key]?.[cell(i, j)]]));
  own.words ??= x.map((a, i) => y.map((b, j) => (
    facts(data, panel, [], a, b, at(i, j), STATUSES[own.status[cell(i, j)]]))));
  const said = (i, j) => own.words[i][j];
  const none = { x: [], y: [], z: [], text: [] };
  x.forEach((a, i) => y.forEach((b, j) => {
    if (own[view.value][cell(i, j)] !== null) return;
    none.x.push(a); none.y.push(b); none.z.push(view.range[0]); none.text.push(said(i, j));
  }));
  const hover = { hovertemplate: "%{text}<extra></extra>", showlegend: false }, points = specials(data, panel, view);
  const along = (key) => points.map((point) => point[key]);
  const traces = [{
    type: "surface", x, y,
    z: y.map((_b, j) => x.map((_a, i) => placed(own[view.value][cell(i, j)], view))),
    customdata: y.map((_b, j) => x.map((_a, i) => [said(i, j)])),
    hovertemplate: "%{customdata[0]}<extra></extra>",
    colorscale: view.colours, cmin: view.range[0], cmax: view.range[1], showscale: false, connectgaps: false,
    contours: { z: { show: none.x.length === 0, usecolormap: true, project: { z: true } } }, // slow about holes
  }, {
    type: "scatter3d", mode: "markers", ...hover, x: along("x"), y: along("y"), text: along("text"),
    z: along("z").map((z) => z + RAISED * (view.range[1] - view.range[0])),
    marker: { size: 10, opacity: 0 }, // seen as signs
  }, {
    type: "scatter3d", mode: "markers", ...hover, ...none,
    marker: { symbol: "square", size: 2, color: "#8C8C8C" },
  }];
  if (panel.path) {
    const line = { color: "#000000", width: 4 };
    const { x: a, y: b, z } = panel.path;
    traces.push({ type: "scatter3d", mode: "lines", x: a, y: b, z: z[which], line, hoverinfo: "skip", showlegend: false });
  }
  return traces;
}

function surfaceLayout(data, panel, which, camera) {
  const view = data.views[which], grid = { gridcolor: "#D5D5D5", zerolinecolor: "#D5D5D5", showspikes: false };
  const axis = (name, range) => ({ title: { text: literal(name) }, range, nticks: 5, ...grid });
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 }, font: WORDS, paper_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { align: "left", font: WORDS, bgcolor: "#FFFFFF" },
    scene: {
      camera, annotations: specials(data, panel, view).map(({ x, y, z, star }) => sign([x, y, z], star)),
      aspectmode: "manual", aspectratio: { x: 1, y: 1, z: 0.8 },
      xaxis: axis(data.short[0], data.ranges[0]), yaxis: axis(data.short[1], data.ranges[1]),
      zaxis: { title: { text: "" }, range: view.range, tickvals: view.ticks, ticktext: view.words, ...grid },
    },
  };
}

/** The colours of all panels, with the numbers they stand for. */
function colourBar(bar, view) {
  bar.replaceChildren();
  add(bar, "span", "", view.title);
  const scale = add(bar, "div", "colours"), [low, high] = view.range;
  const stops = view.colours.map(([place, colour]) => `${colour} ${100 * place}%`);
  scale.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  view.ticks.forEach((tick, index) => {
    const place = (tick - low) / (high - low);
    if (place >= 0 && place <= 1) add(bar.lastChild, "span", "tick", view.words[index]).style.left = `${100 * place}%`;
  });
}

function drawSurfaces(box, data) {
  const switches = add(box, "div", "switches"), bar = add(box, "div", "bar"), grid = add(box, "div", "panels");
  let which = 0, camera = CAMERA, asked = null;
  const plots = data.panels.map((panel) => {
    const figure = add(grid, "figure", "panel");
    add(figure, "figcaption", "", panel.label);
    return Object.assign(add(figure, "div", "scene"), { following: 0 });
  });
  const draw = () => plots.forEach((plot, index) => Plotly.react(
    plot, surfaceTraces(data, data.panels[index], which), surfaceLayout(data, data.panels[index], which, camera), PLOTS));

  // One camera: what a reader does to one panel is done to the others, once a frame.
  const turn = (from, to) => {
    camera = to;
    if (asked === null) {
      requestAnimationFrame(() => {
        const source = asked;
        asked = null;
        for (const plot of plots.filter((each) => each !== source)) {
          plot.following += 1;
          Plotly.relayout(plot, { "scene.camera": camera }).then(() => { plot.following -= 1; });
        }
      });
    }
    asked = from;
  };
  const follow = (plot) => {
    const turned = (said) => { if (!plot.following && said["scene.camera"]) turn(plot, said["scene.camera"]); };
    plot.on("plotly_relayouting", turned);
    plot.on("plotly_relayout", turned);
    // A wheel zooms over some frames, and the library tells of none of them: the camera is asked until it rests.
    let until = 0;
    const zoomed = () => {
      const resting = performance.now() > until;
      turn(resting ? null : plot, plot._fullLayout.scene._scene.getCamera());
      if (!resting) requestAnimationFrame(zoomed);
    };
    plot.addEventListener("wheel", () => {
      const resting = performance.now() > until;
      until = performance.now() + 300;
      if (resting) requestAnimationFrame(zoomed);
    }, { passive: true, capture: true });
  };

  const aspects = { value: "name", scale: "scale", split: "split" }, rows = {};
  const show = () => {
    const now = data.views[which];
    for (const [row, key] of Object.entries(aspects)) {
      rows[row].set(now[key]);
      rows[row].allow((name) => data.views.some((view) => view[key] === name
        && (row !== "scale" || (view.split === now.split && view.value === now.value))));
    }
    colourBar(bar, now);
  };
  for (const [row, key] of Object.entries(aspects)) {
    const names = [...new Set(data.views.map((view) => view[key]))];
    rows[row] = choice(switches, row, names, (name) => {
      const now = data.views[which];
      const likeness = (view) => Object.values(aspects).filter((other) => view[other] === now[other]).length;
      const fitting = data.views.filter((view) => view[key] === name);
      which = data.views.indexOf(fitting.reduce((best, view) => (likeness(view) > likeness(best) ? view : best)));
      show();
      draw();
    });
  }
  const back = add(switches, "button", "", "Reset the view");
  back.type = "button";
  back.addEventListener("click", () => turn(null, CAMERA));
  show();
  whenNear(grid, () => { draw(); plots.forEach(follow); });
}
