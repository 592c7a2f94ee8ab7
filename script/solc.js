#!/usr/bin/env node
// Solidity compiler for Foundry: a native solc of the pinned version on PATH where there is one, else the WebAssembly
// build from npm. forge calls it with `--version`, or with `--standard-json` and the JSON on standard input.
'use strict';
const { spawnSync } = require('node:child_process');
const { readFileSync } = require('node:fs');

const VERSION = '0.8.37';
const args = process.argv.slice(2);

const native = spawnSync('solc', ['--version'], { encoding: 'utf8' });
if (native.status === 0 && native.stdout.includes(VERSION)) {
  process.exit(spawnSync('solc', args, { stdio: 'inherit' }).status ?? 1);
}

let solc;
try {
  solc = require('solc');
} catch {
  console.error(`solc ${VERSION} is neither on PATH nor in node_modules; run \`npm install --no-save\` in the project root`);
  process.exit(1);
}
if (!solc.version().startsWith(VERSION)) {
  console.error(`node_modules holds solc ${solc.version()}, expected ${VERSION}; run \`npm install --no-save\``);
  process.exit(1);
}
if (args.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, 'utf8')));
}
