import { MockActivityEnvironment } from "@temporalio/testing";

/** Runs an activity as Temporal would, which it asks when the workflow first wanted it. */
export async function asActivity<Result>(
  activity: () => Promise<Result>,
  firstWantedAt = Date.now(),
): Promise<Result> {
  const environment = new MockActivityEnvironment({ scheduledTimestampMs: firstWantedAt });
  return await environment.run(activity);
}
