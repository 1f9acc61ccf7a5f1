// node-resque: resque_app.js PORT worker NAME | enqueue COUNT PATH
const fs = require('fs');
const { Queue, Worker } = require('node-resque');

const [port, verb, ...words] = process.argv.slice(2);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const connection = { pkg: 'ioredis', host: '127.0.0.1', port: Number(port), namespace: 'resque', options: {} };

async function hold(path) {
  if (path === 'fail') throw new Error('told to fail');
  while (!fs.existsSync(path)) await wait(20);
}

async function main() {
  if (verb === 'worker') {
    const worker = new Worker({ connection, queues: ['jobs'], name: words[0], timeout: 1000 }, { hold: { perform: hold } });
    await worker.connect();
    await worker.start();
    process.on('SIGTERM', () => worker.end().then(() => process.exit(0)));
    return;
  }
  const queue = new Queue({ connection }, { hold: { perform: hold } });
  await queue.connect();
  if (verb === 'enqueue') for (let i = 0; i < words[0]; i++) await queue.enqueue('jobs', 'hold', [words[1]]);
  await queue.end();
}

main();
