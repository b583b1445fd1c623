// pg-boss taking empty jobs through, fetched and completed by the thousand from four loops; prints jobs a second.
import { PgBoss } from 'pg-boss'

const [host, database, count] = [process.argv[2], process.argv[3], Number(process.argv[4])]
const boss = new PgBoss({ host, database, user: 'postgres', max: 10, supervise: false, schedule: false })
boss.on('error', (error) => { throw error })
await boss.start()
await boss.createQueue('nothing')
for (let made = 0; made < count; made += 10_000) {
  const size = Math.min(10_000, count - made)
  await boss.insert('nothing', Array.from({ length: size }, (_, n) => ({ data: { n: made + n } })))
}
await boss.getDb().executeSql('ANALYZE')

const begun = process.hrtime.bigint()
await Promise.all(Array.from({ length: 4 }, async () => {
  for (;;) {
    const jobs = await boss.fetch('nothing', { batchSize: 1_000 })
    if (!jobs.length) return
    await boss.complete('nothing', jobs.map((job) => job.id))
  }
}))
const seconds = Number(process.hrtime.bigint() - begun) / 1e9
console.log(count / seconds)
await boss.stop({ graceful: false })
