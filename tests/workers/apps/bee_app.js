// Bee-Queue: bee_app.js PORT worker NAME | enqueue COUNT PATH | later COUNT
const fs = require('fs');
const Queue = require('bee-queue');

const [port, verb, ...words] = process.argv.slice(2);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function hold(job) {
  if (job.data.path === 'fail') throw new Error('told to fail');
  while (!fs.existsSync(job.data.path)) await wait(20);
}

async function main() {
  const isWorker = verb === 'worker';
  const redis = { host: '127.0.0.1', port: Number(port) };
  const queue = new Queue('jobs', { redis, isWorker, removeOnSuccess: true, activateDelayedJobs: true });
  if (isWorker) {
    queue.process(hold);
    process.on('SIGTERM', () => queue.close().then(() => process.exit(0)));
    return;
  }
  if (verb === 'enqueue') for (let i = 0; i < words[0]; i++) await queue.createJob({ path: words[1] }).save();
  if (verb === 'later') {
    for (let i = 0; i < words[0]; i++) await queue.createJob({ path: 'fail' }).delayUntil(Date.now() + 600000).save();
  }
  await queue.close();
}

main();
