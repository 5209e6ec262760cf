// What the scripts of a comparison's page share. All words are set as text, or escaped where a drawing reads tags.
"use strict";

const WORDS = { family: "DejaVu Sans, Verdana, sans-serif", size: 11, color: "#000000" };
const STATUSES = ["not evaluated", "evaluated", "interpolated", "diverged"];

const PLOTS = { displayModeBar: false, responsive: true, plotlyServerURL: "", showTips: false };

/** A new element at the end of another, with words in it as plain text. */
function add(parent, tag, name = "", text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  parent.append(made);
  return made;
}

/** Words as the drawing library, which reads tags in them, shall show them. */
function literal(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** A number for people; a dash for what is none, or is not finite. */
function figures(value) {
  return value === null || value === undefined ? "–" : short(value, 5);
}

/** The data that the page holds under a name. */
function held(name) {
  return JSON.parse(document.getElementById(name).textContent);
}

/** Draw once a box comes near the window: a page of many charts is there at once. */
function whenNear(box, draw) {
  const watch = new IntersectionObserver((seen) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    draw();
  }, { rootMargin: "200px" });
  watch.observe(box);
}

/** A row of buttons of which one is pressed. `chosen` is told which; `set` presses one, `allow` says which can be. */
function choice(parent, label, names, chosen) {
  const row = add(parent, "span", "choice");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", label);
  const buttons = names.map((name) => {
    const button = add(row, "button", "", name);
    button.type = "button";
    button.addEventListener("click", () => chosen(name));
    return button;
  });
  row.hidden = names.length < 2;
  return {
    set: (name) => buttons.forEach((button) => button.setAttribute("aria-pressed", button.textContent === name)),
    allow: (allowed) => buttons.forEach((button) => { button.disabled = !allowed(button.textContent); }),
  };
}

// On paper the pictures stand in the place of what can be turned: they are unfolded for it.
window.matchMedia("print").addEventListener("change", (print) => {
  for (const still of document.querySelectorAll("details.still")) still.open = print.matches;
});
