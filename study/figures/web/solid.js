// What surfaces have in common on every page: where they are looked at from, and special points that none hides.

const INK = "#000", PAPER = "#FFF";
const HALO = (colour) => `0 0 2px ${colour}, 0 0 2px ${colour}, 0 0 3px ${colour}`;

/** From where a surface is looked at first: α to the right, β away. */
const VIEW = { up: { x: 0, y: 0, z: 1 }, eye: { x: 1.05, y: -1.68, z: 1.05 }, center: { x: 0, y: 0, z: -0.12 } };

/** A special point as a sign above all that is drawn: as a marker it would sink half into the surface. */
function sign([x, y, z], star) {
  const [text, size] = star ? ["★", 16] : ["●", 13];
  return { x, y, z, showarrow: false, text, font: { size, color: PAPER, shadow: HALO(INK) } };
}

