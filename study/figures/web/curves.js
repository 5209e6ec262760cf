// Curves of several runs, and one legend for all of them: what it hides is hidden in every chart of the page.
"use strict";

const GRID = { gridcolor: "#E5E5E5", zerolinecolor: "#E5E5E5", linecolor: "#555555", showline: true, ticks: "outside" };

/** A button for each configuration: a click hides it, a double click leaves it alone, or brings all back. */
class Legend {
  constructor(box, entries) {
    this.hidden = new Set();
    this.names = entries.map((entry) => entry.name);
    this.colours = Object.fromEntries(entries.map((entry) => [entry.name, entry.colour]));
    this.listeners = [];
    this.buttons = entries.map((entry) => {
      const button = add(box, "button");
      button.type = "button";
      add(button, "span", "swatch").style.background = entry.colour;
      button.append(entry.name);
      button.addEventListener("click", (event) => {
        if (event.detail < 2) this.toggle(entry.name); // the second click of two is no click of its own
      });
      button.addEventListener("dblclick", () => this.isolate(entry.name));
      return button;
    });
    const all = add(box, "button", "all", "Show all");
    all.type = "button";
    all.addEventListener("click", () => this.show(new Set()));
    this.before = new Set();
    this.show(new Set());
  }

  toggle(name) {
    this.before = new Set(this.hidden);
    const hidden = new Set(this.hidden);
    if (!hidden.delete(name)) hidden.add(name);
    this.show(hidden);
  }

  /** Of the two clicks before a double one, the first hid or showed the entry: `before` is how it was. */
  isolate(name) {
    const others = this.names.filter((each) => each !== name);
    const alone = !this.before.has(name) && others.every((each) => this.before.has(each));
    this.show(new Set(alone ? [] : others));
  }

  show(hidden) {
    this.hidden = hidden;
    this.buttons.forEach((button, place) => button.setAttribute("aria-pressed", !hidden.has(this.names[place])));
    this.listeners.forEach((listener) => listener());
  }

  /** Whether a curve is shown: all its configurations are, of which one between two minima has two. */
  shows(entries) {
    return entries.every((entry) => !this.hidden.has(entry));
  }
}

/** What is shown under the pointer at each place of a line: the run, the split, and every value there. */
function lineFacts(data, line) {
  const places = Object.entries(line.x);
  return places[0][1].map((_at, index) => {
    const lines = [`<b>${literal(line.label)}</b>`];
    if (line.split) lines.push(literal(line.split));
    for (const [name, along] of places) lines.push(`${literal(name)} = ${figures(along[index])}`);
    for (const fact of data.facts) {
      const value = line.values[fact.key]?.[index];
      if (value === undefined) continue;
      const error = line.values[`${fact.key}_error`]?.[index];
      const about = error ? ` ± ${Number(error.toPrecision(2))}` : "";
      lines.push(`${literal(fact.name)} = ${figures(value)}${about}${literal(fact.suffix)}`);
    }
    if (line.status) lines.push(STATUSES[line.status[index]]);
    return lines.join("<br>");
  });
}

function curveTraces(data, chart, along, legend) {
  return chart.lines.map((place) => {
    const line = data.lines[place], colour = legend.colours[line.entries[0]];
    return {
      type: "scatter", mode: "lines+markers", name: literal(line.label), showlegend: false, connectgaps: false,
      x: line.x[along], y: line.values[chart.value], text: (line.words ??= lineFacts(data, line)),
      hovertemplate: "%{text}<extra></extra>", visible: legend.shows(line.entries),
      line: { color: colour, dash: line.dash, width: 1.5 }, marker: { color: colour, size: 4 },
    };
  });
}

function curveLayout(data, chart, along, log) {
  const rule = { type: "line", yref: "paper", y0: 0, y1: 1, line: { color: "#555555", width: 1, dash: "dot" } };
  const range = chart.range && (log ? chart.range.map((end) => Math.log10(end)) : chart.range);
  return {
    font: WORDS, hovermode: "closest", hoverlabel: { align: "left", font: WORDS, bgcolor: "#FFFFFF" },
    margin: { l: 60, r: 12, t: 26, b: 44 },
    xaxis: { title: { text: literal(along), standoff: 6 }, ...GRID, zeroline: false },
    yaxis: {
      title: { text: literal(chart.unit), standoff: 4 }, type: log ? "log" : "linear",
      ...(log ? { tickformat: "~g" } : { exponentformat: "power" }),
      automargin: true, ...(range ? { range } : {}), ...GRID,
    },
    shapes: chart.marks.map((mark) => ({ ...rule, x0: mark.at, x1: mark.at })),
    annotations: chart.marks.filter((mark) => mark.name).map((mark) => ({
      text: literal(mark.name), x: mark.at, y: 1, yref: "paper", yanchor: "bottom", showarrow: false,
    })),
  };
}

function drawCurves(box, data, legend) {
  const switches = add(box, "div", "switches"), grid = add(box, "div", "charts");
  const places = Object.keys(data.lines[0].x);
  let along = places[0], scale = null;
  const plots = data.charts.map((chart) => {
    const figure = add(grid, "figure", "chart");
    if (chart.title) add(figure, "figcaption", "", chart.title);
    const plot = Object.assign(add(figure, "div", "curves"), { drawn: false });
    const draw = () => Plotly.react(
      plot, curveTraces(data, chart, along, legend),
      curveLayout(data, chart, along, chart.either && scale ? scale === "log" : chart.log), PLOTS);
    whenNear(figure, () => { plot.drawn = true; draw(); });
    legend.listeners.push(() => {
      const visible = chart.lines.map((place) => legend.shows(data.lines[place].entries));
      if (plot.drawn) Plotly.restyle(plot, { visible });
    });
    return { plot, draw };
  });
  const again = () => plots.filter(({ plot }) => plot.drawn).forEach(({ draw }) => draw());
  const over = choice(switches, "over", places, (name) => { along = name; over.set(name); again(); });
  over.set(along);
  const either = data.charts.filter((chart) => chart.either);
  const scales = either.length ? ["linear", "log"] : [];
  const scaled = choice(switches, "scale", scales, (name) => { scale = name; scaled.set(name); again(); });
  if (either.length) scaled.set(either[0].log ? "log" : "linear");
}
