// Fill the places that the page keeps for its charts.
"use strict";

const entries = document.getElementById("data-");
const legend = entries && new Legend(document.querySelector(".legend"), held("data-"));
for (const box of document.querySelectorAll("[data-surfaces]")) drawSurfaces(box, held(`data-${box.dataset.surfaces}`));
for (const box of document.querySelectorAll("[data-curves]")) drawCurves(box, held(`data-${box.dataset.curves}`), legend);
