#!/usr/bin/env bash
# jax-js 0.1.25 (JAX's interface in JavaScript): power(0, 0) is NaN, where JAX and NumPy give 1. And of its WebAssembly
# back end sines of large numbers are off in the first digits at 1e5 and mean nothing at 1e7, where its back end in
# plain JavaScript is right, and the tanh of 1e-4 is off in the fifth. Polynomials, positions as angles and gates meet
# them.
#
# Seen: power(0, 0) = NaN; sin(1e5) = 0.0400, right 0.0357; sin(1e7) = 0.909, right 0.421; tanh(1e-4) = 0.99997e-4.
# Exits with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @jax-js/jax@0.1.25
cat > see.js <<'JS'
import { defaultDevice, init, numpy } from '@jax-js/jax';

await init();
const seen = {};
for (const device of ['cpu', 'wasm']) {
  defaultDevice(device);
  const [power] = await numpy.power(numpy.array([0, 2]), numpy.array([0, 0])).data();
  const [sine, larger] = await numpy.sin(numpy.array([1e5, 1e7])).data();
  const [tanh] = await numpy.tanh(numpy.array([1e-4, 1])).data();
  seen[device] = { power, sine, larger, tanh };
  console.log(`${device}: power(0, 0) ${power}, sin(1e5) ${sine}, sin(1e7) ${larger}, tanh(1e-4) ${tanh}`);
}
const right = { sine: Math.sin(1e5), larger: Math.sin(1e7), tanh: Math.tanh(1e-4) };
console.log(`right: 1, ${Object.values(right).join(', ')}`);
const isOff = (device) => Object.keys(right).map((name) => Math.abs(seen[device][name] / right[name] - 1) > 1e-5);
const isPower = Object.values(seen).every(({ power }) => Number.isNaN(power));
process.exit(isPower && isOff('wasm').every(Boolean) && !isOff('cpu').some(Boolean) ? 0 : 1);
JS
node see.js
