// Perfetto's trace processor, as its user interface has it in WebAssembly, between standard input
// and standard output: frames of its RPC protocol in, frames out.
//
//   node engine.js FOLDER    FOLDER has engine_bundle.js and trace_processor*.wasm

'use strict';

const fs = require('fs');
const path = require('path');
const vm = require('vm');

const folder = path.resolve(process.argv[2]);
const { exit, stdin } = process;

// Standard output is for frames alone.
console.log = console.warn = console.error;

// What the bundle finds in a web worker.
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = class {};
globalThis.importScripts = () => {};
globalThis.location = { href: `file://${folder}/engine_bundle.js` };
globalThis.XMLHttpRequest = class {
  open(_method, url) {
    this.file = path.join(folder, path.basename(url));
  }
  send() {
    const bytes = fs.readFileSync(this.file);
    this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    this.status = 200;
  }
};
// With this it would take itself for a program of Node.js.
delete globalThis.process;

const port = {
  postMessage(reply) {
    for (let sent = 0; sent < reply.length; ) {
      sent += fs.writeSync(1, reply, sent);
    }
  },
};
const file = path.join(folder, 'engine_bundle.js');
vm.runInThisContext(fs.readFileSync(file, 'utf8'), { filename: file });
self.onmessage({ data: port });

// The engine is ready a turn of the event loop after the WebAssembly is compiled, which is not told.
setTimeout(() => {
  stdin.on('data', (bytes) => port.onmessage({ data: new Uint8Array(bytes) }));
  stdin.on('end', () => exit(0));
}, 2000);
