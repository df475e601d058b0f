import { startChaosStack, skusOf } from "./stack.ts";
import { blow, drawStorm } from "./storm.ts";
import { startTraffic } from "./traffic.ts";
import { randomFrom } from "./random.ts";
import { findWronglyApplied } from "./careful-client.ts";
import fs from "node:fs";
const seed = Number(process.argv[2] ?? 1);
const T0=performance.now(); const at=()=>((performance.now()-T0)/1000).toFixed(0)+"s";
const stack = await startChaosStack({ timeScale: 720, stockEach: 60 });
console.log(at(), "up", stack.home);
const storm = drawStorm(randomFrom(seed), Number(process.argv[3] ?? 0), stack.links.length);
const traffic = await startTraffic(stack, { random: randomFrom(seed+1), name: "dbg", ordersPerSecond: 4, adjustmentsPerSecond: 1, burst: {orders: 15, everySeconds: 6}, ordersMaximum: 60 });
const report = await blow(stack, storm);
console.log(at(), report.happened.join("\n"), "\nENDED", report.endedByThemselves.map(s=>s.slice(0,600)));
await traffic.end();
console.log(at(), "traffic ended", traffic.placed());
await traffic.client.untilAnswered(90); traffic.client.giveUp();
console.log(at(), "answered", traffic.client.adjustments.filter(a=>a.outcome===null).length, "open;", await findWronglyApplied(stack, traffic.client.adjustments));
for (let i=0;i<8;i++) {
  const proof = await stack.prove(20);
  const bad = proof.checks.filter(c=>c.violations.length+c.underWay.length>0);
  console.log(at(), proof.clean, bad.map(c=>`${c.check}: ${c.violations.length} violations ${c.underWay.length} under way`));
  if (bad.length===0) break;
  if (i===7 || i===3) {
    console.log(JSON.stringify(bad.map(b=>[...b.violations, ...b.underWay].slice(0,4)),null,1));
    const subjects = bad.flatMap(b=>[...b.violations].map((v:any)=>v.subject)).slice(0,3);
    for (const code of subjects) {
      const [sku] = await stack.sql<any>("select s.id, s.code, s.sync_status, s.last_synced_at, l.current_stock, l.reserved_stock, l.updated_at, li.channel_sku_id from skus s join stock_levels l on l.sku_id=s.id join listings li on li.sku_id=s.id where s.code=$1", [code]);
      console.log(sku);
      if(!sku) continue;
      console.log(await stack.sql("select state, count(*)::int, sum(quantity)::int from reservations where sku_id=$1 group by 1",[sku.id]));
      console.log(await stack.sql("select desired_available, available_seen, committed_seen, state, outcome, closed_at from push_intents where sku_id=$1 order by id desc limit 5",[sku.id]));
      console.log(await stack.sql("select * from channel_observations where sku_id=$1 order by id desc limit 3",[sku.id]));
      const page = await stack.control<any>("GET","/_sim/ledger?section=stock&limit=1000"); console.log(JSON.stringify(page.items.find((x:any)=>x.sellerSku===code)));
      console.log(await stack.sql("select kind, channel_status, o.channel_order_id, r.state, r.quantity from reservations r join orders o on o.order_ref=r.order_ref cross join (select 1 as kind) k where r.sku_id=$1 order by 3 limit 40",[sku.id]));
    }
    console.log(await stack.sql("select kind, count(*)::int, min(created_at), max(attempts) from outbox where done_at is null group by 1").catch(e=>String(e)));
    console.log(await stack.sql("select * from rate_buckets"));
  }
}
fs.cpSync(stack.home+"/logs", "/tmp/chaos-logs", {recursive:true, force:true});
await stack.close();
process.exit();
