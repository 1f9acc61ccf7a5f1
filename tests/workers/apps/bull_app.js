// Bull: bull_app.js PORT worker NAME | enqueue COUNT PATH | later COUNT | pause | resume
const fs = require('fs');
const Queue = require('bull');

const [port, verb, ...words] = process.argv.slice(2);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function hold(job) {
  if (job.data.path === 'fail') throw new Error('told to fail');
  while (!fs.existsSync(job.data.path)) await wait(20);
}

async function main() {
  const settings = { lockDuration: 4000, stalledInterval: 600000 };
  const queue = new Queue('jobs', { redis: { host: '127.0.0.1', port: Number(port) }, settings });
  if (verb === 'worker') {
    queue.process(hold);
    process.on('SIGTERM', () => queue.close().then(() => process.exit(0)));
    return;
  }
  const options = { removeOnComplete: true };
  if (verb === 'enqueue') for (let i = 0; i < words[0]; i++) await queue.add({ path: words[1] }, options);
  if (verb === 'later') for (let i = 0; i < words[0]; i++) await queue.add({ path: 'fail' }, { delay: 600000 });
  if (verb === 'pause') await queue.pause();
  if (verb === 'resume') await queue.resume();
  await queue.close();
}

main();
