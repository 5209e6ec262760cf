/* Numbers in words, and round numbers between two others. */

function short(number, digits) {
  const words = Number.isFinite(number) ? String(Number(number.toPrecision(digits))) :
    Number.isNaN(number) ? 'nan' : number > 0 ? 'inf' : '-inf';
  return words.replaceAll('-', '\u2212');
}

function label(number) {
  const size = Math.abs(number);
  if (size === 0 || (size >= 1e-3 && size < 1e4)) return short(number, 12);
  const [mantissa, power] = Number(number.toPrecision(12)).toExponential().split('e');
  const raised = [...power.replace('+', '')].map((sign) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(sign)]);
  const factor = Math.abs(mantissa) === 1 ? mantissa.slice(0, -1) : `${mantissa}×`;
  return `${factor.replace('-', '\u2212')}10${raised.join('')}`;
}

/* Multiples of a round step between two numbers, at most so many steps. */
function even(low, high, most) {
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = power * [1, 2, 2.5, 5].find((round) => (high - low) / (round * power) <= most) || 10 * power;
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, k) => (first + k) * step);
}

