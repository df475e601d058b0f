import { z } from "zod";

/**
 * What shall go wrong, as it is put to `/_sim/faults`. Every rule says how often: in `percent` of its occasions, drawn
 * from the seed, or at the `next` so many of them; with `windowMs` only between so many milliseconds after the plan was made.
 * Durations are real milliseconds.
 */

const milliseconds = z.number().int().min(0).max(3_600_000);
const between = z
  .tuple([milliseconds, milliseconds])
  .refine(([least, most]) => least <= most, "the range ends before it begins");

const often = {
  percent: z.number().gt(0).max(100).optional(),
  next: z.number().int().min(1).max(1_000_000).optional(),
  windowMs: between.optional(),
};
export interface Often {
  readonly percent?: number | undefined;
  readonly next?: number | undefined;
  readonly windowMs?: readonly [number, number] | undefined;
}
const saysOne = (rule: Often): boolean => (rule.percent === undefined) !== (rule.next === undefined);
const saysOneMessage = "say either percent or next";

const webhookRules = z.strictObject({
  /** One to `copiesMax` more requests with the same bytes, after the first or at the same time. */
  duplicate: z
    .strictObject({
      ...often,
      copiesMax: z.number().int().min(1).max(100).default(1),
      concurrent: z.boolean().default(false),
    })
    .refine(saysOne, saysOneMessage)
    .optional(),
  delay: z
    .strictObject({ ...often, betweenMs: between })
    .refine(saysOne, saysOneMessage)
    .optional(),
  /** Sent after `behind` notifications that were noted later, or after `waitMsMax` when so many do not come. */
  reorder: z
    .strictObject({
      ...often,
      behind: z.number().int().min(1).max(1_000).default(1),
      waitMsMax: milliseconds.default(2_000),
    })
    .refine(saysOne, saysOneMessage)
    .optional(),
  /** Never sent, not even by a repetition. */
  lose: z.strictObject(often).refine(saysOne, saysOneMessage).optional(),
  /** One more request that says something else under a signature that is not TikTok's. */
  forge: z.strictObject(often).refine(saysOne, saysOneMessage).optional(),
});

/** `endpoint` is a part of method and path as the books of calls name them; without it a rule is for all calls. */
const call = { ...often, endpoint: z.string().min(1).optional() };
/** Whether the call's effect is in the books although its answer says nothing of it. */
const applied = z.boolean().default(false);

const callRule = z.discriminatedUnion("fault", [
  z
    .strictObject({
      fault: z.literal("too_many_requests"),
      ...call,
      retryAfterSeconds: z.number().int().min(0).max(86_400).optional(),
    })
    .refine(saysOne, saysOneMessage),
  z
    .strictObject({
      fault: z.literal("server_error"),
      ...call,
      status: z.number().int().min(500).max(599).default(503),
      applied,
    })
    .refine(saysOne, saysOneMessage),
  z.strictObject({ fault: z.literal("slow"), ...call, betweenMs: between }).refine(saysOne, saysOneMessage),
  /** Lies about before it is decided: it takes effect behind calls that came after it. */
  z.strictObject({ fault: z.literal("late"), ...call, betweenMs: between }).refine(saysOne, saysOneMessage),
  z.strictObject({ fault: z.literal("truncated"), ...call }).refine(saysOne, saysOneMessage),
  z.strictObject({ fault: z.literal("malformed"), ...call }).refine(saysOne, saysOneMessage),
  z.strictObject({ fault: z.literal("wrong_types"), ...call }).refine(saysOne, saysOneMessage),
  z.strictObject({ fault: z.literal("reset"), ...call, applied }).refine(saysOne, saysOneMessage),
  z.strictObject({ fault: z.literal("timeout"), ...call, applied }).refine(saysOne, saysOneMessage),
  /** Of a call for many packages or SKUs, some are refused: each with `itemPercent`, one at least. */
  z
    .strictObject({
      fault: z.literal("partial"),
      ...call,
      itemPercent: z.number().gt(0).max(100).default(50),
      code: z.number().int().positive().default(36009003),
    })
    .refine(saysOne, saysOneMessage),
]);
export type CallRule = z.output<typeof callRule>;

export const faultPlan = z.strictObject({
  seed: z.string().min(1).max(200).default("1"),
  webhooks: webhookRules.default({}),
  /** The first rule that strikes decides; `slow` adds to whichever does. */
  calls: z.array(callRule).max(100).default([]),
  /** Share of the orders that cannot be fetched by id until they are this old. */
  unreadable: z
    .strictObject({ percent: z.number().gt(0).max(100), forMs: milliseconds })
    .nullable()
    .default(null),
});
export type FaultPlan = z.output<typeof faultPlan>;

/** The plan in force and how far it came; the id is always `faults`. */
export const faultRecord = z.object({
  id: z.literal("faults"),
  plan: faultPlan,
  /** When it was made; 0 for the empty plan of the first day. */
  sinceMilliseconds: z.number().int().default(0),
  /** Calls of each endpoint since the plan was made. */
  ordinals: z.record(z.string(), z.number().int()),
  /** What is left of rules with `next`. */
  left: z.record(z.string(), z.number().int()),
  /** How often each rule struck. */
  injected: z.record(z.string(), z.number().int()),
  /** Forged requests that the seller's app took for true. */
  forgeriesAccepted: z.number().int(),
});
export type FaultRecord = z.output<typeof faultRecord>;
