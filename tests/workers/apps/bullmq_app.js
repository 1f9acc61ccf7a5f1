// BullMQ: bullmq_app.js PORT worker NAME | enqueue COUNT PATH | later COUNT | pause | resume
const fs = require('fs');
const { Queue, Worker } = require('bullmq');

const [port, verb, ...words] = process.argv.slice(2);
const connection = { host: '127.0.0.1', port: Number(port) };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function hold(job) {
  if (job.data.path === 'fail') throw new Error('told to fail');
  while (!fs.existsSync(job.data.path)) await pause(20);
}

async function main() {
  if (verb === 'worker') {
    const worker = new Worker('jobs', hold, { connection, name: words[0], lockDuration: 4000, stalledInterval: 600000 });
    process.on('SIGTERM', () => worker.close().then(() => process.exit(0)));
    return;
  }
  const queue = new Queue('jobs', { connection });
  const options = { removeOnComplete: true };
  if (verb === 'enqueue') for (let i = 0; i < words[0]; i++) await queue.add('hold', { path: words[1] }, options);
  if (verb === 'later') for (let i = 0; i < words[0]; i++) await queue.add('hold', { path: 'fail' }, { delay: 600000 });
  if (verb === 'pause') await queue.pause();
  if (verb === 'resume') await queue.resume();
  await queue.close();
}

main();
