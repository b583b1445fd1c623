// graphile-worker taking empty jobs through, with local queue and batched completion; prints jobs a second.
import { run, makeWorkerUtils, Logger } from 'graphile-worker'
import pg from 'pg'

const [host, database, count] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const pool = new pg.Pool({ host, database, user: 'postgres', max: 20 })
const logger = new Logger(() => () => {})
const utils = await makeWorkerUtils({ pgPool: pool, logger })
await utils.migrate()
await pool.query(
  `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(SELECT json_populate_record(NULL::graphile_worker.job_spec,
     json_build_object('identifier', 'nothing', 'payload', json_build_object('n', n))) FROM generate_series(1, $1) AS n))`,
  [count],
)
await pool.query('VACUUM (ANALYZE)')

let done = 0
let finished
const all = new Promise((resolve) => (finished = resolve))
const begun = process.hrtime.bigint()
const runner = await run({
  pgPool: pool,
  logger,
  noHandleSignals: true,
  taskList: { nothing: () => { if (++done === count) finished() } },
  preset: {
    worker: { concurrentJobs: 24, maxPoolSize: 20, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
  },
})
await all
// Ends only when every completion is written.
await runner.stop()
const seconds = Number(process.hrtime.bigint() - begun) / 1e9
console.log(count / seconds)
await utils.release()
await pool.end()
