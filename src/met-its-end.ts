import { isGrpcServiceError, WorkflowUpdateFailedError } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { entityIsClosing } from "./workflows/messages.ts";

/** gRPC's FAILED_PRECONDITION: an update's workflow task failed, since a signal came while it ended its run. */
const failedPrecondition = 9;

/**
 * True when an update met the end of its run: the workflow was closing, continuing as new, full, or ended with the update
 * accepted. What it asked for may have been done; asked again with the same ids, its successor answers.
 */
export function metItsEnd(error: unknown): boolean {
  if (error instanceof WorkflowUpdateFailedError)
    return (
      error.cause instanceof ApplicationFailure &&
      (error.cause.type === entityIsClosing || error.cause.type === "AcceptedUpdateCompletedWorkflow")
    );
  const cause = error instanceof Error && !isGrpcServiceError(error) ? error.cause : error;
  return isGrpcServiceError(cause) && (cause.code as number) === failedPrecondition;
}
