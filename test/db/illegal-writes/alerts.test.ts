import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const alert = (state: string, set: string) => `update alerts set ${set} where subject_id = '${state}'`;
const delivery = (state: string, set: string) =>
  `update alert_deliveries set ${set} where state = '${state}'`;
const copied = (changes: string) =>
  `insert into alerts (tenant_id, kind, severity, sku_id, subject_id, state, steps) select ${changes} from alerts where subject_id = 'open'`;

const writes: readonly IllegalWrite[] = [
  [
    "app",
    "a second alert about one condition",
    copied("tenant_id, kind, severity, sku_id, subject_id, 'acknowledged', 0"),
  ],
  [
    "app",
    "an alert about nothing that is known",
    copied("tenant_id, 'rain', severity, sku_id, 'x', 'open', 0"),
  ],
  ["app", "an alert about a foreign SKU", copied("tenant_id, kind, severity, :foreignSku, 'x', 'open', 0")],
  [
    "app",
    "an alert that is as bad as nothing known",
    copied("tenant_id, kind, 'mild', sku_id, 'x', 'open', 0"),
  ],
  ["app", "an alert that is over and opens again", alert("rearmed", "state = 'open', rearmed_at = null")],
  ["app", "an alert that is over at another time", alert("rearmed", "rearmed_at = now() + interval '1 day'")],
  ["app", "a resolved alert that opens again", alert("resolved", "state = 'open'")],
  ["app", "a resolved alert that is snoozed", alert("resolved", "state = 'snoozed', snoozed_until = now()")],
  ["app", "an alert snoozed without an end", alert("open", "state = 'snoozed'")],
  ["app", "an alert resolved without a time", alert("open", "state = 'resolved'")],
  ["app", "an alert that is over without a time", alert("open", "state = 'rearmed'")],
  ["app", "an alert in an unknown state", alert("open", "state = 'ignored'")],
  ["app", "an alert that becomes another one", alert("open", "kind = 'shortage'")],
  ["app", "steps of an alert forgotten", alert("open", "steps = 0")],
  ["app", "an alert that has always been there", alert("open", "opened_at = now() - interval '1 year'")],
  ["superuser", "an alert deleted", "delete from alerts where subject_id = 'snoozed'"],
  ["app", "a message that was sent and waits", delivery("sent", "state = 'due', ended_at = null")],
  ["app", "a message that was sent at another time", delivery("sent", "ended_at = now() + interval '1 day'")],
  ["app", "a message that ended without a time", delivery("due", "state = 'sent'")],
  ["app", "a message to somebody else", delivery("due", "medium = 'sms'")],
  ["app", "a message in an unknown state", delivery("due", "state = 'lost', ended_at = now()")],
  [
    "app",
    "one message planned twice",
    "insert into alert_deliveries (tenant_id, alert_id, user_id, medium, step, rung) select tenant_id, alert_id, user_id, medium, step, rung from alert_deliveries where state = 'due'",
  ],
  [
    "app",
    "a text message to engineering",
    "insert into alert_deliveries (tenant_id, alert_id, user_id, medium, step, rung) select tenant_id, id, null, 'sms', 9, 0 from alerts limit 1",
  ],
  ["superuser", "a message deleted", "delete from alert_deliveries"],
  ["app", "a threshold of more than 10,000", "update skus set low_stock_threshold = 10001 where id = :sku"],
  ["app", "a threshold that follows the moon", "update skus set threshold_mode = 'moon' where id = :sku"],
  ["app", "a lead time of years", "update skus set lead_time_days = 366 where id = :sku"],
  ["app", "a plan that a seller gives himself", "update tenants set plan = 'premium'"],
];

refusesIllegalWrites("of alerts and their messages", writes);
