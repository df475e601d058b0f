import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { type ApprovalDecision, isSettled } from "../domain/approval/decide.ts";
import { askingEntitiesPatiently, inDatabase } from "./activities.ts";
import { type ApprovalInput, type ApprovalWish, decideOnApproval } from "./messages.ts";

/** The timer and our clock may differ; it is looked at again rather than too early. */
const lookAgainMinimum = 1_000;

interface Request {
  readonly wish: ApprovalWish;
  answer: ApprovalDecision | null;
}

/**
 * A large change of stock that waits for somebody who may make it, until its time is over. What is asked for and what was
 * decided is in Postgres; here is the waiting. It can be started at any time and again: it looks where things stand, carries
 * on what was approved, and ends when nothing is left to decide.
 */
export async function stockApproval(input: ApprovalInput): Promise<void> {
  const { tenantId, approvalId } = input;
  const key = { tenantId, approvalId };
  const mailbox: Request[] = [];
  setHandler(decideOnApproval, async (wish) => {
    const request: Request = { wish, answer: null };
    mailbox.push(request);
    await condition(() => request.answer !== null);
    return request.answer ?? { state: "waiting" };
  });
  let look = await inDatabase.lookAtApproval(key);
  while (true) {
    if (look.state === "approving") look = await askingEntitiesPatiently.applyApproval(key);
    const request = mailbox.shift();
    if (request !== undefined) {
      const decided = await inDatabase.decideOnApproval({ ...key, ...request.wish });
      look = decided.state === "approving" ? await askingEntitiesPatiently.applyApproval(key) : decided;
      request.answer = decided.refusal ?? { state: look.state };
      continue;
    }
    setCurrentDetails(`Approval ${look.state}.`);
    const isOver = isSettled(look.state);
    if (isOver || workflowInfo().continueAsNewSuggested) {
      await condition(() => mailbox.length > 0 || allHandlersFinished());
      if (mailbox.length > 0) continue;
      if (isOver) return;
      await continueAsNew<typeof stockApproval>(input);
    }
    const left = Math.max(lookAgainMinimum, look.millisecondsLeft);
    if (!(await condition(() => mailbox.length > 0, left))) look = await inDatabase.lookAtApproval(key);
  }
}
